//! Buffers and launches without the backend: the driver's calls themselves.

use std::collections::HashMap;
use std::ffi::{CString, c_void};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use cudarc::driver::{CudaContext, DriverError, result, sys};

use crate::emulator;

/// The modules that are loaded, the ladder's included.
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

// SAFETY: the handles name code that stays loaded, and the driver takes calls from any thread.
unsafe impl Send for Device {}

/// Blocks and threads in order, in reverse, and shuffled. On a GPU nobody chooses: once. Prints what was compared.
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

/// The emulator alone, for mistakes that a device would not survive.
pub(super) fn on_the_emulator(run: impl FnOnce(&Device)) {
    let device = lock();
    if device.emulated {
        run(&device);
    }
}

/// The process's one device, for one test at a time: the order of the emulator is the process's too.
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

    /// Memory with a copy of `values`, of which there is at least one.
    pub(super) fn upload<T: Copy>(&self, values: &[T]) -> Buffer<T> {
        let buffer = self.uninitialised(values.len());
        // SAFETY: the allocation has the size of `values`.
        unsafe { result::memcpy_htod_sync(buffer.address, values) }.expect("a copy");
        buffer
    }

    /// Memory that nothing was written to: NaN in the emulator.
    pub(super) fn uninitialised<T: Copy>(&self, len: usize) -> Buffer<T> {
        // SAFETY: the buffer owns the memory and frees it once.
        let address = unsafe { result::malloc_sync(len * size_of::<T>()) }.expect("memory");
        Buffer {
            address,
            len,
            kind: PhantomData,
        }
    }

    /// A copy of what a buffer holds.
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
        // SAFETY: the arguments are those of the kernel's signature; buffers are as long as it is told.
        unsafe { self.try_launch(kernel, grid, block, arguments) }
            .unwrap_or_else(|e| panic!("{kernel}: {e}"));
    }

    /// [`Device::launch`] of what may be refused.
    ///
    /// # Safety
    /// The arguments must be those of the kernel's signature, with buffers as long as it is told, unless the device is the emulator and the mistake one
    /// that it stops.
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
    // SAFETY: the driver reads the text up to its final 0; the module is never unloaded.
    let module = unsafe { result::module::load_data(text.as_ptr().cast()) }?;
    // SAFETY: the module is loaded.
    unsafe { result::module::get_function(module, name) }
}

/// Memory of the device.
#[repr(C)]
pub(super) struct Buffer<T> {
    address: sys::CUdeviceptr,
    len: usize,
    kind: PhantomData<T>,
}

impl<T> Buffer<T> {
    /// The address of element `i`, to be passed to a kernel.
    pub(super) fn from(&self, i: usize) -> u64 {
        assert!(i < self.len);
        self.address + (i * size_of::<T>()) as u64
    }
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        // SAFETY: allocated by `uninitialised`, freed here alone.
        let _ = unsafe { result::free_sync(self.address) };
    }
}

/// No memory, where a kernel allows that.
pub(super) const NULL: u64 = 0;

/// What a kernel is launched with.
pub(super) trait Argument {
    /// Where the driver finds the value.
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
    /// Keeps everything.
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
