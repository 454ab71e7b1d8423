//! A device: the driver found, the kernels loaded, memory, and launches.
//!
//! Everything runs on the context's default stream, in the order in which it was launched. So calls need no events to
//! wait for each other, and several networks may share a device.
//!
//! The driver is looked for at run time. Without it every call here is an [`Error::Device`] and nothing panics.

use std::collections::BTreeMap;
use std::ffi::{CString, c_void};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::sys::{self, CUdevice_attribute as Attribute, cudaError_enum as Code};
use cudarc::driver::{
    CudaContext, CudaSlice, CudaStream, DevicePtr, DeviceRepr, DriverError, ValidAsZeroBits, result,
};

use crate::error::{Error, Result};

/// The version of CUDA, as 1000·major + 10·minor, whose driver first takes PTX of the kernels' version (8.4).
const DRIVER: i32 = 12040;
/// The least compute capability that the kernels are compiled for.
const CAPABILITY: (i32, i32) = (8, 0);

/// A CUDA device with the kernels loaded.
pub struct CudaDevice {
    index: usize,
    name: String,
    multiprocessors: usize,
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    pub(super) kernels: LoadedKernels,
}

/// Loads the kernels of each file, by the names that they have there.
macro_rules! kernels {
    ($($file:literal: $($name:ident)*;)*) => {
        /// The kernels, ready to be launched.
        pub(super) struct LoadedKernels {
            $($(pub(super) $name: CudaKernel,)*)*
        }

        impl LoadedKernels {
            fn load() -> Result<Self, DriverError> {
                $(
                    let module = load(include_str!(concat!("../../../kernels/ptx/", $file, ".ptx")))?;
                    $(let $name = function(module, stringify!($name))?;)*
                )*
                Ok(LoadedKernels { $($($name,)*)* })
            }
        }
    };
}

kernels! {
    "sgemm":
        sgemm_nt_bias_large sgemm_nt_bias_medium sgemm_nt_bias_small
        sgemm_nt_block_large sgemm_nt_block_medium sgemm_nt_block_small
        sgemm_nt_statistics_large sgemm_nt_statistics_medium sgemm_nt_statistics_small
        sgemm_nn_large sgemm_nn_medium sgemm_nn_small
        sgemm_tn_large sgemm_tn_medium sgemm_tn_small;
    "activation": activation_backward;
    "batch_norm": batch_norm_forward batch_norm_evaluate batch_norm_backward_sums batch_norm_backward;
    "softmax_cross_entropy": softmax_cross_entropy loss_total;
    "optimizers": sgd adam rmsprop rprop;
    "clip": square_sum clip_scale;
    "input": input_u8 input_f32 augment_u8 augment_f32;
    "evaluate": argmax;
}

/// A kernel. Its module is never unloaded: a device stays open until the program ends.
pub(super) struct CudaKernel(sys::CUfunction);

// SAFETY: the handle names code that stays loaded, and the driver may be called from any thread.
unsafe impl Send for CudaKernel {}
// SAFETY: as above; the handle is only read.
unsafe impl Sync for CudaKernel {}

fn load(ptx: &str) -> Result<sys::CUmodule, DriverError> {
    let text = CString::new(ptx).expect("PTX is text");
    // SAFETY: the driver reads the image up to its final 0 and keeps nothing of it.
    unsafe { result::module::load_data(text.as_ptr().cast()) }
}

fn function(module: sys::CUmodule, name: &str) -> Result<CudaKernel, DriverError> {
    let name = CString::new(name).expect("names have no 0");
    // SAFETY: the module was loaded just now and is never unloaded.
    unsafe { result::module::get_function(module, name) }.map(CudaKernel)
}

fn failed(device: &str, message: impl Into<String>) -> Error {
    Error::Device {
        device: device.to_owned(),
        message: message.into(),
    }
}

impl CudaDevice {
    /// The device of this number, from 0. It is opened once in a process and stays open.
    ///
    /// # Errors
    /// If there is no driver, or one too old for the kernels; if there is no such device, or one that cannot run them.
    pub fn open(index: usize) -> Result<Arc<Self>> {
        static OPEN: Mutex<BTreeMap<usize, Arc<CudaDevice>>> = Mutex::new(BTreeMap::new());
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(device) = open.get(&index) {
            return Ok(device.clone());
        }
        let device = Arc::new(Self::start(index)?);
        open.insert(index, device.clone());
        Ok(device)
    }

    fn start(index: usize) -> Result<Self> {
        let label = format!("cuda:{index}");
        check_driver(&label)?;
        let driver = |e: DriverError| failed(&label, e.to_string());
        let count = match CudaContext::device_count() {
            Err(DriverError(Code::CUDA_ERROR_NO_DEVICE)) => 0,
            other => other.map_err(driver)? as usize,
        };
        if index >= count {
            let message = match count {
                0 => "no CUDA device: the driver finds none".to_owned(),
                1 => "there is no such device: this machine has one, cuda:0".to_owned(),
                n => format!(
                    "there is no such device: this machine has {n}, cuda:0 to cuda:{}",
                    n - 1
                ),
            };
            return Err(failed(&label, message));
        }
        let context = CudaContext::new(index).map_err(driver)?;
        let name = context.name().map_err(driver)?;
        let label = format!("{label} ({name})");
        let driver = |e: DriverError| failed(&label, e.to_string());
        let capability = context.compute_capability().map_err(driver)?;
        if capability < CAPABILITY {
            let ((needed, half), (major, minor)) = (CAPABILITY, capability);
            let message = format!(
                "the kernels need compute capability {needed}.{half} or more, found {major}.{minor}"
            );
            return Err(failed(&label, message));
        }
        let multiprocessors = Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;
        let multiprocessors = context.attribute(multiprocessors).map_err(driver)?;
        let kernels = LoadedKernels::load().map_err(|e| {
            let message = format!("the driver does not take the kernels: {e}");
            failed(&label, message)
        })?;
        Ok(CudaDevice {
            index,
            name,
            multiprocessors: multiprocessors.max(1) as usize,
            stream: context.default_stream(),
            context,
            kernels,
        })
    }

    /// What the driver calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many multiprocessors it has.
    pub fn multiprocessors(&self) -> usize {
        self.multiprocessors
    }

    /// Waits until all launches and copies so far are done.
    ///
    /// # Errors
    /// Also those of the launches and copies.
    pub fn synchronize(&self) -> Result<()> {
        self.checked(self.stream.synchronize())
    }

    fn checked<T>(&self, outcome: Result<T, DriverError>) -> Result<T> {
        outcome.map_err(|e| self.error(e.to_string()))
    }

    pub(super) fn error(&self, message: impl Into<String>) -> Error {
        failed(&self.to_string(), message)
    }

    /// Memory for `len` numbers, all bits 0.
    pub(super) fn alloc<T: DeviceRepr + ValidAsZeroBits>(
        self: &Arc<Self>,
        len: usize,
    ) -> Result<Memory<T>> {
        // The driver refuses allocations of nothing.
        let slice = self.stream.alloc_zeros(len.max(1)).map_err(|e| match e.0 {
            Code::CUDA_ERROR_OUT_OF_MEMORY => self.out_of_memory(len * size_of::<T>()),
            _ => self.error(e.to_string()),
        })?;
        let (address, _) = slice.device_ptr(&self.stream);
        Ok(Memory {
            address,
            slice,
            len,
            device: self.clone(),
        })
    }

    fn out_of_memory(&self, bytes: usize) -> Error {
        let mebibytes = |bytes: usize| bytes.div_ceil(1 << 20);
        let room = match self.context.mem_get_info() {
            Ok((free, total)) => format!("; {} of {} MiB are free", free >> 20, total >> 20),
            Err(_) => String::new(),
        };
        self.error(format!(
            "out of memory: no room for {} MiB more{room}",
            mebibytes(bytes)
        ))
    }

    /// Memory with a copy of `values`.
    pub(super) fn upload<T: DeviceRepr + ValidAsZeroBits>(
        self: &Arc<Self>,
        values: &[T],
    ) -> Result<Memory<T>> {
        let mut memory = self.alloc(values.len())?;
        memory.write(values)?;
        Ok(memory)
    }

    /// Launches a kernel, without waiting for it.
    ///
    /// # Safety
    /// `arguments` are what the kernel takes, in number, order and type. Pointers are to memory of this device that has
    /// all that the kernel reads and writes. It stays allocated until the launch is done: memory is given back in the
    /// stream's order.
    pub(super) unsafe fn launch<const N: usize>(
        &self,
        kernel: &CudaKernel,
        grid: [u32; 2],
        block: [u32; 2],
        arguments: [ArgumentAddress<'_>; N],
    ) -> Result<()> {
        let mut addresses = arguments.map(|a| a.address);
        self.checked(self.context.bind_to_thread())?;
        // SAFETY: the caller's promise; the addresses are of values that live until the driver has copied them, which
        // it does before it returns.
        let launched = unsafe {
            result::launch_kernel(
                kernel.0,
                (grid[0], grid[1], 1),
                (block[0], block[1], 1),
                0,
                self.stream.cu_stream(),
                &mut addresses,
            )
        };
        self.checked(launched)
    }
}

impl std::fmt::Display for CudaDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cuda:{} ({})", self.index, self.name)
    }
}

/// Checks that a driver is installed and new enough. This must be the first call: without a driver others panic.
fn check_driver(label: &str) -> Result<()> {
    // SAFETY: looks for the library by its names and calls nothing in it.
    if !unsafe { sys::is_culib_present() } {
        let message = "no CUDA driver: libcuda.so is not installed; it comes with NVIDIA's driver";
        return Err(failed(label, message));
    }
    let mut version = 0;
    // SAFETY: writes one number, and may be called before anything else.
    let outcome = unsafe { sys::cuDriverGetVersion(&mut version) };
    outcome.result().map_err(|e| failed(label, e.to_string()))?;
    if version >= DRIVER {
        return Ok(());
    }
    let show = |version: i32| format!("{}.{}", version / 1000, version % 1000 / 10);
    let message = format!(
        "the driver is too old: the kernels need one for CUDA {} or newer, found {}",
        show(DRIVER),
        show(version)
    );
    Err(failed(label, message))
}

/// Memory of a device.
pub struct Memory<T> {
    address: sys::CUdeviceptr,
    slice: CudaSlice<T>,
    /// The length that the caller gave. At least one number is always allocated.
    len: usize,
    device: Arc<CudaDevice>,
}

impl<T: DeviceRepr + ValidAsZeroBits> Memory<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The address of the number at `at`, of which `count` will be used from there on.
    pub(super) fn at(&self, at: usize, count: usize) -> Pointer<T> {
        assert!(at + count <= self.len, "inside of the memory");
        Pointer {
            address: self.address + (at * size_of::<T>()) as sys::CUdeviceptr,
            of: PhantomData,
        }
    }

    /// The address of the first number, of which `count` will be used.
    pub(super) fn start(&self, count: usize) -> Pointer<T> {
        self.at(0, count)
    }

    /// Overwrites the start.
    pub(super) fn write(&mut self, values: &[T]) -> Result<()> {
        assert!(values.len() <= self.len, "inside of the memory");
        if values.is_empty() {
            return Ok(());
        }
        let device = self.device.clone();
        device.checked(device.stream.memcpy_htod(values, &mut self.slice))?;
        // The driver may still be reading `values`.
        device.synchronize()
    }

    /// Copies the start, once all launches and copies so far are done.
    pub(super) fn read(&self, values: &mut [T]) -> Result<()> {
        assert!(values.len() <= self.len, "inside of the memory");
        let (device, view) = (&self.device, self.slice.slice(..values.len()));
        if !values.is_empty() {
            device.checked(device.stream.memcpy_dtoh(&view, values))?;
        }
        device.synchronize()
    }

    /// Sets all bits to 0.
    pub(super) fn clear(&mut self) -> Result<()> {
        let device = self.device.clone();
        device.checked(device.stream.memset_zeros(&mut self.slice))
    }
}

/// An address in a device's memory, as kernels take it.
#[repr(transparent)]
pub(super) struct Pointer<T> {
    address: sys::CUdeviceptr,
    of: PhantomData<*const T>,
}

impl<T> Clone for Pointer<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Pointer<T> {}

impl<T> Pointer<T> {
    /// No address.
    pub(super) const NULL: Self = Pointer {
        address: 0,
        of: PhantomData,
    };

    /// The same address, where it is decided elsewhere what lies there.
    pub(super) fn untyped(self) -> Pointer<()> {
        Pointer {
            address: self.address,
            of: PhantomData,
        }
    }
}

/// A type that kernels take by value, laid out as in C.
///
/// # Safety
/// The type has the size and layout of the kernel's parameter.
pub(super) unsafe trait KernelArgument {}

// SAFETY: an address is one everywhere.
unsafe impl<T> KernelArgument for Pointer<T> {}
// SAFETY: unsigned.
unsafe impl KernelArgument for u32 {}
// SAFETY: float.
unsafe impl KernelArgument for f32 {}
// SAFETY: double.
unsafe impl KernelArgument for f64 {}

/// The address of an argument in this program's memory.
#[derive(Clone, Copy)]
pub(super) struct ArgumentAddress<'a> {
    address: *mut c_void,
    of: PhantomData<&'a ()>,
}

impl<'a, T: KernelArgument> From<&'a T> for ArgumentAddress<'a> {
    fn from(value: &'a T) -> Self {
        ArgumentAddress {
            address: std::ptr::from_ref(value).cast_mut().cast(),
            of: PhantomData,
        }
    }
}

/// `launch!(device, kernel, grid, block, arguments…)`: [`CudaDevice::launch`] with each argument's address.
macro_rules! launch {
    ($device:expr, $kernel:expr, $grid:expr, $block:expr, $($argument:expr),+ $(,)?) => {
        $device.launch($kernel, $grid, $block, [$($crate::backend::cuda::device::ArgumentAddress::from(&$argument)),+])
    };
}
pub(super) use launch;

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing panics where there is no driver; where there is one, a device that cannot exist is refused.
    #[test]
    fn a_device_that_is_not_there_is_an_error() {
        let error = CudaDevice::open(usize::MAX).err().expect("no such device");
        assert_eq!(error.exit_code(), 1);
        assert!(error.to_string().starts_with("cuda:"), "{error}");
    }
}
