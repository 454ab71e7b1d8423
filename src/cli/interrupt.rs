//! Stopping at the next checkpoint.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::error::{Error, Result};

/// Set by Ctrl-C and SIGTERM; a second signal ends the program at once.
#[cfg(not(windows))]
pub(super) fn interrupt_flag() -> Result<Arc<AtomicBool>> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::flag;

    let interrupt = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let registered = flag::register_conditional_shutdown(signal, 130, interrupt.clone())
            .and_then(|_| flag::register(signal, interrupt.clone()));
        registered.map_err(|e| Error::io("watch", Path::new("signals"), e))?;
    }
    Ok(interrupt)
}

/// Set by Ctrl-C and Ctrl-Break; a second one ends the program at once.
#[cfg(windows)]
pub(super) fn interrupt_flag() -> Result<Arc<AtomicBool>> {
    use std::sync::atomic::Ordering;

    let interrupt = Arc::new(AtomicBool::new(false));
    let flag = interrupt.clone();
    let watched = ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    });
    let failed = |e| Error::io("watch", Path::new("Ctrl-C"), std::io::Error::other(e));
    watched.map(|()| interrupt).map_err(failed)
}
