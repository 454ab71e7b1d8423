//! Buffers and launches without the backend, by direct calls of the driver.

use std::collections::HashMap;
use std::ffi::{CString, c_void};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use cudarc::driver::{CudaContext, DriverError, result, sys};

use crate::emulator;

/// All modules, the ladder's included.
const MODULES: [&str; 12] = [
    include_str!("../../../kernels/ptx/activation.ptx"),
    include_str!("../../../kernels/ptx/batch_norm.ptx"),
    include_str!("../../../kernels/ptx/clip.ptx"),
    include_str!("../../../kernels/ptx/evaluate.ptx"),
    include_str!("../../../kernels/ptx/input.ptx"),
    include_str!("../../../kernels/ptx/optimizers.ptx"),
    include_str!("../../../kernels/ptx/sgemm.ptx"),
    include_str!("../../../kernels/ptx/sgemm_ladder/1_naive.ptx"),
    include_str!("../../../kernels/ptx/sgemm_ladder/2_tiled.ptx"),
    include_str!("../../../kernels/ptx/sgemm_ladder/3_register_tile.ptx"),
    include_str!("../../../kernels/ptx/sgemm_ladder/4_vectorised.ptx"),
    include_str!("../../../kernels/ptx/softmax_cross_entropy.ptx"),
];

/// A device with every kernel loaded.
pub(super) struct Device {
    context: Arc<CudaContext>,
    emulated: bool,
    kernels: HashMap<String, sys::CUfunction>,
}

// SAFETY: the handles name code that stays loaded, and the driver may be called from any thread.
unsafe impl Send for Device {}

/// Runs a test with blocks and threads in order, in reverse, and shuffled. A GPU chooses its own order, so there the
/// test runs once. Prints what was compared.
pub(super) fn in_every_order(mut run: impl FnMut(&Device)) {
    let device = lock();
    if device.emulated {
        for order in 0..3 {
            emulator::set_order(order, 11);
            run(&device);
        }
        emulator::set_order(0, 0);
    } else {
        run(&device);
    }
    super::report();
}

/// Runs a test on the emulator only, for mistakes that would crash a device.
pub(super) fn on_the_emulator(run: impl FnOnce(&Device)) {
    let device = lock();
    if device.emulated {
        run(&device);
    }
}

/// Locks the process's only device for one test at a time, because the order of the emulator is global, too.
fn lock() -> MutexGuard<'static, Device> {
    static DEVICE: OnceLock<Mutex<Device>> = OnceLock::new();
    let device = DEVICE.get_or_init(|| Mutex::new(Device::open()));
    let guard = device
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    guard
        .context
        .bind_to_thread()
        .expect("the context is still there");
    guard
}

impl Device {
    fn open() -> Self {
        let emulated = std::env::var_os("CHAINRULE_TEST_GPU").is_none();
        if emulated {
            emulator::preload();
        }
        let context = CudaContext::new(0).expect("a device");
        let name = context.name().expect("a name");
        assert_eq!(name.contains("NOT A GPU"), emulated, "found {name}");
        println!("device: {name}");
        let mut kernels = HashMap::new();
        for ptx in MODULES {
            for entry in ptx.split(".entry ").skip(1) {
                let name = entry.split('(').next().expect("a name").to_owned();
                let function = find_kernel(ptx, &name).unwrap_or_else(|e| panic!("{name}: {e}"));
                kernels.insert(name, function);
            }
        }
        Device {
            context,
            emulated,
            kernels,
        }
    }

    /// Memory with a copy of `values`, which must not be empty.
    pub(super) fn upload<T: Copy>(&self, values: &[T]) -> Buffer<T> {
        let buffer = self.uninitialised(values.len());
        // SAFETY: the allocation has the size of `values`.
        unsafe { result::memcpy_htod_sync(buffer.address, values) }.expect("a copy");
        buffer
    }

    /// Memory that was never written: NaN in the emulator.
    pub(super) fn uninitialised<T: Copy>(&self, len: usize) -> Buffer<T> {
        // SAFETY: the buffer owns the memory and frees it once.
        let address = unsafe { result::malloc_sync(len * size_of::<T>()) }.expect("memory");
        Buffer {
            address,
            len,
            kind: PhantomData,
        }
    }

    /// A copy of the contents of a buffer.
    pub(super) fn download<T: Copy + Default>(&self, buffer: &Buffer<T>) -> Vec<T> {
        let mut values = vec![T::default(); buffer.len];
        // SAFETY: the allocation has that size; every bit pattern is a number.
        unsafe { result::memcpy_dtoh_sync(&mut values, buffer.address) }.expect("a copy");
        values
    }

    /// Runs a kernel and waits for it.
    #[track_caller]
    pub(super) fn launch(
        &self,
        kernel: &str,
        grid: [usize; 2],
        block: [u32; 2],
        arguments: &[&dyn Argument],
    ) {
        // SAFETY: the arguments match the kernel's signature, and buffers have the lengths that are passed.
        unsafe { self.try_launch(kernel, grid, block, arguments) }
            .unwrap_or_else(|e| panic!("{kernel}: {e}"));
    }

    /// As [`Device::launch`], for launches that may be refused.
    ///
    /// # Safety
    /// The arguments must match the kernel's signature, and buffers must have the lengths that are passed. Mistakes are
    /// allowed on the emulator if it stops them.
    pub(super) unsafe fn try_launch(
        &self,
        kernel: &str,
        grid: [usize; 2],
        block: [u32; 2],
        arguments: &[&dyn Argument],
    ) -> Result<(), DriverError> {
        let function = *self
            .kernels
            .get(kernel)
            .unwrap_or_else(|| panic!("no kernel {kernel}"));
        let mut pointers: Vec<*mut c_void> = arguments.iter().map(|a| a.pointer()).collect();
        let (grid, block) = ((grid[0] as u32, grid[1] as u32, 1), (block[0], block[1], 1));
        // SAFETY: the caller's promise.
        unsafe {
            result::launch_kernel(
                function,
                grid,
                block,
                0,
                std::ptr::null_mut(),
                &mut pointers,
            )
        }?;
        result::ctx::synchronize()
    }
}

/// A kernel of a module, by name.
///
/// # Errors
/// If the driver does not take the PTX, or finds no such kernel in it.
pub(super) fn find_kernel(ptx: &str, name: &str) -> Result<sys::CUfunction, DriverError> {
    let (text, name) = (
        CString::new(ptx).expect("PTX is text"),
        CString::new(name).expect("a name"),
    );
    // SAFETY: the driver reads the text up to its final 0, and the module is never unloaded.
    let module = unsafe { result::module::load_data(text.as_ptr().cast()) }?;
    // SAFETY: the module is loaded.
    unsafe { result::module::get_function(module, name) }
}

/// A buffer in device memory.
#[repr(C)]
pub(super) struct Buffer<T> {
    address: sys::CUdeviceptr,
    len: usize,
    kind: PhantomData<T>,
}

impl<T> Buffer<T> {
    /// The address of element `i`, to pass to a kernel.
    pub(super) fn from(&self, i: usize) -> u64 {
        assert!(i < self.len);
        self.address + (i * size_of::<T>()) as u64
    }
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        // SAFETY: allocated by `uninitialised` and freed only here.
        let _ = unsafe { result::free_sync(self.address) };
    }
}

/// A null pointer, for kernels that allow one.
pub(super) const NULL: u64 = 0;

/// An argument of a kernel.
pub(super) trait Argument {
    /// Where the driver finds the argument's value.
    fn pointer(&self) -> *mut c_void;
}

macro_rules! by_value {
    ($($t:ty),*) => {$(
        impl Argument for $t {
            fn pointer(&self) -> *mut c_void {
                std::ptr::from_ref(self).cast_mut().cast()
            }
        }
    )*};
}

by_value!(
    u32,
    u64,
    f64,
    Mask,
    SgdRule,
    AdamRule,
    RmsPropRule,
    RpropRule,
    Augment
);

impl<T> Argument for Buffer<T> {
    fn pointer(&self) -> *mut c_void {
        std::ptr::from_ref(&self.address).cast_mut().cast()
    }
}

/// `Mask` of common.cuh.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Mask {
    pub(super) threshold: u32,
    pub(super) scale: f32,
    pub(super) layer: u32,
    pub(super) step: [u32; 2],
    pub(super) seed: [u32; 2],
}

impl Mask {
    /// A mask that keeps every unit.
    pub(super) const NONE: Mask = Mask {
        threshold: 0,
        scale: 1.0,
        layer: 0,
        step: [0; 2],
        seed: [0; 2],
    };

    /// The mask of the CPU's operation.
    pub(super) fn of(mask: &chainrule::ops::dropout::Mask) -> Self {
        Mask {
            threshold: (mask.p * 4_294_967_296.0) as u32,
            scale: (1.0 / (1.0 - mask.p)) as f32,
            layer: mask.layer,
            step: [mask.step as u32, (mask.step >> 32) as u32],
            seed: [mask.seed as u32, (mask.seed >> 32) as u32],
        }
    }
}

/// `Loss` of common.cuh.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Loss {
    pub(super) objective: f64,
    pub(super) cross_entropy_sum: f64,
    pub(super) correct: u64,
}

/// `SgdRule` of optimizers.cu.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct SgdRule {
    pub(super) lr: f32,
    pub(super) momentum: f32,
    pub(super) weight_decay: f32,
    pub(super) nesterov: u32,
    pub(super) swept: u32,
}

/// `AdamRule` of optimizers.cu.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct AdamRule {
    pub(super) step_size: f32,
    pub(super) root_correction: f32,
    pub(super) beta1: f32,
    pub(super) one_minus_beta1: f32,
    pub(super) beta2: f32,
    pub(super) one_minus_beta2: f32,
    pub(super) eps: f32,
    pub(super) l2: f32,
    pub(super) shrink: f32,
    pub(super) swept: u32,
}

/// `RmsPropRule` of optimizers.cu.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct RmsPropRule {
    pub(super) lr: f32,
    pub(super) alpha: f32,
    pub(super) one_minus_alpha: f32,
    pub(super) eps: f32,
    pub(super) momentum: f32,
    pub(super) weight_decay: f32,
    pub(super) swept: u32,
}

/// `RpropRule` of optimizers.cu.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct RpropRule {
    pub(super) first: f32,
    pub(super) is_first: u32,
    pub(super) swept: u32,
}

/// `Augment` of input.cu.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Augment {
    pub(super) seed: [u32; 2],
    pub(super) epoch: u32,
    pub(super) height: u32,
    pub(super) width: u32,
    pub(super) flip: u32,
    pub(super) shift: u32,
    pub(super) noise: f64,
}
