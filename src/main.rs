//! The program. Everything is in the library's [`chainrule::cli`].

fn main() -> std::process::ExitCode {
    chainrule::cli::main()
}
