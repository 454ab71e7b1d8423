//! Progress of `bench` on standard error.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::output;

/// What is being measured: on a terminal in one line that goes away, else a line each, on standard error.
pub(super) struct BenchProgress {
    quiet: bool,
    spinner: ProgressBar,
}

impl BenchProgress {
    pub(super) fn new(quiet: bool) -> Self {
        let target = if quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let style = ProgressStyle::with_template("{elapsed}  {msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
        BenchProgress {
            quiet,
            spinner: ProgressBar::with_draw_target(None, target).with_style(style),
        }
    }

    pub(super) fn next(&self, what: &str) {
        // No steady tick: drawing would take time from what is measured.
        self.spinner.set_message(what.to_owned());
        self.spinner.tick();
        if self.spinner.is_hidden() && !self.quiet {
            output::note(what);
        }
    }

    pub(super) fn finish(&self) {
        self.spinner.finish_and_clear();
    }
}
