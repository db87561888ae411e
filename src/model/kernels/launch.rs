//! A kernel with its arguments, on its way to the device.

use candle_core::{DType, Device, Result, Shape, Storage, StorageRef, Tensor, bail};

/// Threads of a block where a row has enough to do for them.
const THREADS: usize = 256;
const WARP: usize = 32;

/// A kernel with its grid and arguments. Arguments follow in the order of the kernel's parameters.
pub struct Launch<'a> {
    kernel: String,
    device: Device,
    /// How many numbers move as one.
    pack: usize,
    grid: [u32; 3],
    threads: u32,
    shared_bytes: u32,
    /// Each argument as eight bytes; narrower ones stand in the low bytes.
    arguments: Vec<u64>,
    /// Keeps what the arguments point to.
    held: Vec<StorageRef<'a>>,
    /// Tables of pointers, on the device.
    tables: Vec<Tensor>,
}

impl<'a> Launch<'a> {
    /// The instance of a kernel for numbers of the type of `like`, with a plain name: `NAME_bf16`. One block until said otherwise.
    pub fn new(kernel: &str, like: &Tensor) -> Result<Self> {
        let kernel = format!("{kernel}_{}", type_name(like.dtype())?);
        Ok(Self {
            kernel,
            device: like.device().clone(),
            pack: 1,
            grid: [1; 3],
            threads: THREADS as u32,
            shared_bytes: 0,
            arguments: Vec::new(),
            held: Vec::new(),
            tables: Vec::new(),
        })
    }

    /// The instance that moves as many numbers at once as rows of `width` numbers allow: `NAME_bf16x8`.
    pub fn packed(kernel: &str, like: &Tensor, width: usize) -> Result<Self> {
        let whole = 16 / like.dtype().size_in_bytes();
        let pack = if width.is_multiple_of(whole) { whole } else { 1 };
        let mut launch = Self::new(kernel, like)?;
        launch.kernel.push_str(&format!("x{pack}"));
        Ok(Self { pack, ..launch })
    }

    /// As [`Launch::packed`], for a kernel that has numbers of this type and others in f32: `NAME_bf16x4_wide`; for f32 as ever.
    pub fn packed_beside_f32(kernel: &str, like: &Tensor, width: usize) -> Result<Self> {
        if like.dtype() == DType::F32 {
            return Self::packed(kernel, like, width);
        }
        let pack = if width.is_multiple_of(4) { 4 } else { 1 };
        let mut launch = Self::new(kernel, like)?;
        launch.kernel.push_str(&format!("x{pack}_wide"));
        Ok(Self { pack, ..launch })
    }

    /// One block for each row, whose threads share `width` numbers.
    #[must_use]
    pub fn block_for_each_row(self, rows: usize, width: usize) -> Self {
        let wanted = width.div_ceil(self.pack).next_multiple_of(WARP).max(WARP);
        self.grid([rows, 1, 1]).threads(wanted.min(2 * THREADS))
    }

    /// One thread for each pack of each row; rows in the first dimension of the grid.
    #[must_use]
    pub fn thread_for_each_pack(self, rows: usize, width: usize) -> Self {
        let (blocks, threads) = self.blocks_of(width);
        self.grid([rows, blocks, 1]).threads(threads)
    }

    /// One thread for each pack of `count` numbers.
    #[must_use]
    pub fn thread_for_each_pack_of(self, count: usize) -> Self {
        let (blocks, threads) = self.blocks_of(count);
        self.grid([blocks, 1, 1]).threads(threads)
    }

    fn blocks_of(&self, count: usize) -> (usize, usize) {
        let packs = count.div_ceil(self.pack);
        let threads = packs.next_multiple_of(WARP).clamp(WARP, THREADS);
        (packs.div_ceil(threads), threads)
    }

    /// Blocks in each dimension.
    #[must_use]
    pub fn grid(mut self, blocks: [usize; 3]) -> Self {
        self.grid = blocks.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        self
    }

    /// Threads of a block, in one dimension.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads as u32;
        self
    }

    /// Bytes of shared memory beside what the kernel declares.
    #[must_use]
    pub fn shared(mut self, bytes: usize) -> Self {
        self.shared_bytes = bytes as u32;
        self
    }

    /// A pointer to a contiguous tensor, to read, or to write where nothing else reads: see [`Launch::run`].
    pub fn tensor(mut self, tensor: &'a Tensor) -> Result<Self> {
        let pointer = self.pointer(tensor)?;
        self.arguments.push(pointer);
        Ok(self)
    }

    /// Pointers to any number of contiguous tensors, as one pointer to a table of them, which is copied to the device. Each is to be read
    /// or written as [`Launch::tensor`] says.
    pub fn tensors(mut self, tensors: impl IntoIterator<Item = &'a Tensor>) -> Result<Self> {
        let pointers: Vec<i64> =
            tensors.into_iter().map(|tensor| Ok(self.pointer(tensor)? as i64)).collect::<Result<_>>()?;
        if pointers.is_empty() {
            self.arguments.push(0);
            return Ok(self);
        }
        let count = pointers.len();
        let table = Tensor::from_vec(pointers, count, &self.device)?;
        self.arguments.push(address(&table.storage_and_layout().0)?);
        self.tables.push(table);
        Ok(self)
    }

    fn pointer(&mut self, tensor: &'a Tensor) -> Result<u64> {
        if !tensor.device().same_device(&self.device) {
            bail!("{} got a tensor of {:?} on {:?}", self.kernel, tensor.device(), self.device);
        }
        let (storage, layout) = tensor.storage_and_layout();
        let Some((start, _)) = layout.contiguous_offsets() else {
            bail!("{} needs contiguous tensors, got {:?}", self.kernel, layout)
        };
        let pointer = address(&storage)? + (start * tensor.dtype().size_in_bytes()) as u64;
        self.held.push(storage);
        Ok(pointer)
    }

    /// As [`Launch::tensor`], or a null pointer.
    pub fn optional(mut self, tensor: Option<&'a Tensor>) -> Result<Self> {
        match tensor {
            Some(tensor) => self.tensor(tensor),
            None => {
                self.arguments.push(0);
                Ok(self)
            }
        }
    }

    /// An `int`.
    pub fn number(mut self, number: usize) -> Result<Self> {
        match i32::try_from(number) {
            Ok(number) => self.arguments.push(number as u64),
            Err(_) => bail!("{} cannot count to {number}", self.kernel),
        }
        Ok(self)
    }

    /// An `unsigned long long`.
    #[must_use]
    pub fn long(mut self, number: u64) -> Self {
        self.arguments.push(number);
        self
    }

    /// A `float`.
    #[must_use]
    pub fn real(mut self, real: f64) -> Self {
        self.arguments.push(u64::from((real as f32).to_bits()));
        self
    }

    /// Puts the kernel on the stream of the device, behind all that was put there before. Nothing waits for it.
    ///
    /// Tensors that a kernel writes must be fresh from [`uninitialized`], or variables that nothing else uses at that time.
    pub fn run(self) -> Result<()> {
        if self.grid.contains(&0) {
            return Ok(());
        }
        match &self.device {
            #[cfg(feature = "cuda")]
            Device::Cuda(device) => {
                super::cuda::launch(device, &self.kernel, self.grid, self.threads, self.shared_bytes, &self.arguments)
            }
            #[cfg(feature = "emulate")]
            Device::Cpu => {
                super::emulated::launch(&self.kernel, self.grid, self.threads, self.shared_bytes, &self.arguments)
            }
            other => bail!("this build has no kernels for {other:?}"),
        }
    }
}

/// A tensor whose numbers a kernel is about to write, all of them.
pub fn uninitialized(shape: impl Into<Shape>, dtype: DType, device: &Device) -> Result<Tensor> {
    // SAFETY: every caller hands it to a kernel that writes every number before anything reads one; all types are plain numbers.
    #[allow(unsafe_code)]
    unsafe {
        Tensor::empty(shape, dtype, device)
    }
}

fn type_name(dtype: DType) -> Result<&'static str> {
    match dtype {
        DType::F32 => Ok("f32"),
        DType::BF16 => Ok("bf16"),
        DType::F16 => Ok("f16"),
        other => bail!("no kernel is made for {other:?}"),
    }
}

fn address(storage: &Storage) -> Result<u64> {
    match storage {
        #[cfg(feature = "cuda")]
        Storage::Cuda(storage) => super::cuda::address(storage),
        #[cfg(feature = "emulate")]
        Storage::Cpu(storage) => super::emulated::address(storage),
        _ => bail!("this build has no kernels for tensors of this device"),
    }
}
