//! PyTorch's runs, followed on the device within the bounds of f32.

use crate::library::follow;
use crate::machine;
use crate::reference::CASES;

#[test]
fn every_case() {
    CASES
        .iter()
        .for_each(|name| follow(machine::backend(), name));
}
