//! Progress of `bench` on standard error.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::output;

/// Shows the current measurement: on a terminal in one line that is removed at the end, else in a new line each.
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
        // No steady tick: drawing would disturb the measurement.
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
