//! `completions`.

use crate::support::Chainrule;

#[test]
fn every_shell_gets_a_script_with_the_commands() {
    let program = Chainrule::new();
    for (shell, word) in [
        ("bash", "complete -F _chainrule"),
        ("zsh", "#compdef chainrule"),
        ("fish", "complete -c chainrule"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion:arg-completer[chainrule]"),
    ] {
        let script = program.stdout(&["completions", shell]);
        for word in [word, "train", "predict", "doctor", "lr-find", "batch-size"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    program.refused(&["completions", "tcsh"], &["tcsh", "bash"]);
}
