//! Mistakes that the emulator must refuse. Without these checks the backend's mistakes would pass here and fail on a
//! device.

use cudarc::driver::DriverError;

use super::device::{Argument, Device, NULL, SgdRule, find_kernel, on_the_emulator};

/// Checks that the message of a refused call names the mistake.
#[track_caller]
fn refused<T>(outcome: Result<T, DriverError>, expected: &str) {
    let message = outcome.err().expect("to be refused").to_string();
    assert!(message.contains(expected), "{message}");
}

/// One step of plain gradient descent over `count` parameters. The buffers hold 64.
fn descend(
    device: &Device,
    count: u32,
    block: u32,
    gradients: Option<&dyn Argument>,
) -> Result<(), DriverError> {
    let [w, g, m, v] = [(); 4].map(|()| device.upload(&[1.0_f32; 64]));
    let diverged = device.upload(&[0_u32]);
    let rule = SgdRule {
        lr: 0.1,
        momentum: 0.0,
        weight_decay: 0.0,
        nesterov: 0,
        swept: 0,
    };
    // SAFETY: only the emulator runs this, and it stops each of these mistakes.
    unsafe {
        device.try_launch(
            "sgd",
            [1, 1],
            [block, 1],
            &[
                &w,
                gradients.unwrap_or(&g),
                &m,
                &v,
                &count,
                &rule,
                &NULL,
                &diverged,
            ],
        )
    }
}

#[test]
fn launches() {
    on_the_emulator(|device| {
        descend(device, 64, 256, None).expect("nothing is wrong with this one");
        refused(descend(device, 64, 512, None), "launch bounds");
        refused(
            descend(device, 64, 256, Some(&64_u64)),
            "no live allocation",
        );
        refused(
            descend(device, 65, 256, None),
            "wrote past an allocation of 256 bytes",
        );
        descend(device, 64, 256, None).expect("and it goes on afterwards");
    });
}

/// PTX of another source, of no source, and text that is not PTX.
#[test]
fn modules() {
    on_the_emulator(|_| {
        let ptx = include_str!("../../../kernels/ptx/clip.ptx");
        find_kernel(ptx, "square_sum").expect("nothing is wrong with this one");
        let stale = ptx.replace(".entry square_sum(", ".entry argmax(");
        refused(find_kernel(&stale, "argmax"), "is it stale?");
        let unknown = ptx.replace(".entry square_sum(", ".entry cube_sum(");
        refused(
            find_kernel(&unknown, "cube_sum"),
            "not in emulator/kernels_all.cpp",
        );
        refused(find_kernel("nothing", "square_sum"), "no PTX");
        assert!(find_kernel(ptx, "sgd").is_err());
    });
}

/// Fresh memory is NaN, so that it cannot pass as a result.
#[test]
fn fresh_memory() {
    on_the_emulator(|device| {
        let fresh = device.download(&device.uninitialised::<f32>(100));
        assert!(fresh.iter().all(|x| x.is_nan()));
    });
}
