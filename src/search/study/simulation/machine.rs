//! A simulated machine: files, locks and a clock, shared by processes of which one at a time makes a call. A seed
//! decides which one is next, and where a process pauses or dies. So a seed gives the same run every time.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use chacha20::ChaCha8Rng;
use rand::{Rng, SeedableRng};

use crate::search::journal::system::{Access, Identity, JournalFile, System};

/// Where the journal is, on every simulated machine.
pub(super) const JOURNAL: &str = "/study.journal";

/// The virtual time that a call takes.
const CALL: Duration = Duration::from_millis(1);

/// How often a living worker increments its counter.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// The largest number of deaths. If they never ended, no worker could watch another for long enough.
const DEATHS: usize = 8;

/// So many calls mean that the processes no longer get anywhere.
const STUCK: usize = 100_000;

/// What can go wrong on a machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Faults {
    /// One call in so many is followed by a pause.
    pub(super) pause: u32,
    /// One call in so many kills its process.
    pub(super) death: u32,
    /// One append in so many writes only its beginning: the process dies or the disk is full.
    pub(super) tear: Option<u32>,
    /// The file system has the kernel's locks.
    pub(super) has_kernel_lock: bool,
    /// The kernel forgets the lock of a paused process, as a network disk does.
    pub(super) forgets_kernel_lock: bool,
    /// The others see at once that a process no longer exists.
    pub(super) shows_deaths: bool,
}

/// What the processes have been told, which must be true in the end.
#[derive(Debug, Default)]
pub(super) struct Promises {
    /// The ids of trials that were to be run.
    pub(super) begun: Vec<usize>,
    /// The ids and values of trials that were recorded as complete.
    pub(super) complete: Vec<(usize, f64)>,
}

/// The payload of the unwinding of a process that is killed.
pub(super) struct Killed;

#[derive(Debug, Default)]
struct Inode {
    bytes: Vec<u8>,
    modified: Duration,
    /// Who holds the kernel's lock: a process and the number of its handle.
    lock: Option<(usize, usize)>,
}

#[derive(Debug, Default)]
struct ProcessState {
    /// The name of its worker now.
    worker: String,
    /// It makes no call before this time.
    wake: Duration,
    /// Since when it pauses, and so does its heartbeat.
    paused: Option<Duration>,
    /// It was killed, and its destructors have no effect.
    is_killed: bool,
    has_ended: bool,
}

#[derive(Debug)]
struct MachineState {
    dice: ChaCha8Rng,
    clock: Duration,
    calls: usize,
    turn: usize,
    processes: Vec<ProcessState>,
    inodes: Vec<Inode>,
    names: HashMap<PathBuf, usize>,
    handles: usize,
    /// Workers that were killed, and when.
    dead: HashMap<String, Duration>,
    tears: usize,
}

/// The machine.
#[derive(Debug)]
pub(super) struct SimulatedMachine {
    faults: Faults,
    state: Mutex<MachineState>,
    turns: Vec<Condvar>,
}

impl MachineState {
    /// Whether something happens that happens once in `n` times.
    fn once_in(&mut self, n: u32) -> bool {
        self.dice.next_u32().is_multiple_of(n)
    }

    fn below(&mut self, n: usize) -> usize {
        self.dice.next_u32() as usize % n
    }

    fn inode(&self, path: &Path) -> io::Result<usize> {
        let inode = self.names.get(path).copied();
        inode.ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn identity(&self, path: &Path) -> io::Result<Identity> {
        let inode = self.inode(path)?;
        Ok((0, inode as u64, Some(self.inodes[inode].modified)))
    }

    fn release(&mut self, process: usize) {
        for inode in &mut self.inodes {
            inode.lock = inode.lock.filter(|(holder, _)| *holder != process);
        }
    }

    /// Gives the turn to a process that can go on. If all wait, time passes.
    fn next_turn(&mut self) {
        let ready = |p: &ProcessState, clock| !p.has_ended && p.wake <= clock;
        let wakes = self.processes.iter().filter(|p| !p.has_ended);
        let Some(first) = wakes.map(|p| p.wake).min() else {
            return;
        };
        self.clock = self.clock.max(first);
        let clock = self.clock;
        let able: Vec<usize> = (0..self.processes.len())
            .filter(|&i| ready(&self.processes[i], clock))
            .collect();
        self.turn = able[self.below(able.len())];
    }
}

impl SimulatedMachine {
    /// A machine for this number of processes, with an empty journal.
    pub(super) fn new(seed: u64, processes: usize, faults: Faults, journal: &Path) -> Arc<Self> {
        let state = MachineState {
            dice: ChaCha8Rng::seed_from_u64(seed),
            clock: Duration::ZERO,
            calls: 0,
            turn: 0,
            processes: (0..processes).map(|_| ProcessState::default()).collect(),
            inodes: vec![Inode::default()],
            names: HashMap::from([(journal.to_owned(), 0)]),
            handles: 0,
            dead: HashMap::new(),
            tears: 0,
        };
        Arc::new(SimulatedMachine {
            faults,
            state: Mutex::new(state),
            turns: (0..processes).map(|_| Condvar::new()).collect(),
        })
    }

    /// The bytes of a file.
    pub(super) fn bytes(&self, path: &Path) -> Vec<u8> {
        let state = self.lock();
        state.inodes[state.inode(path).unwrap()].bytes.clone()
    }

    /// Lets a process begin anew after all have ended.
    pub(super) fn wake(&self, process: usize) {
        let mut state = self.lock();
        state.processes[process].has_ended = false;
        state.turn = process;
    }

    fn lock(&self) -> MutexGuard<'_, MachineState> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Waits for the turn of a process.
    fn wait_for_turn<'m>(
        &'m self,
        process: usize,
        mut state: MutexGuard<'m, MachineState>,
    ) -> MutexGuard<'m, MachineState> {
        while state.turn != process {
            self.turns[state.turn].notify_one();
            state = self.turns[process]
                .wait(state)
                .unwrap_or_else(|e| e.into_inner());
        }
        state
    }
}

/// A process of a machine, as its system.
#[derive(Clone, Debug)]
pub(super) struct SimulatedProcess {
    pub(super) machine: Arc<SimulatedMachine>,
    pub(super) number: usize,
}

impl SimulatedProcess {
    /// Begins anew as a worker of this name. A process that was killed is started again after a while.
    pub(super) fn start(&self, worker: &str) {
        let mut state = self.machine.wait_for_turn(self.number, self.machine.lock());
        let pause = Duration::from_secs(state.below(20) as u64);
        let wake = state.clock + pause;
        let process = &mut state.processes[self.number];
        process.worker = worker.into();
        process.is_killed = false;
        process.wake = wake;
        state.next_turn();
        drop(self.machine.wait_for_turn(self.number, state));
    }

    /// The number of appends so far of which only the beginning was written.
    pub(super) fn tears(&self) -> usize {
        self.machine.lock().tears
    }

    /// A whole number below `n`.
    pub(super) fn below(&self, n: usize) -> usize {
        self.machine.lock().below(n)
    }

    /// Makes a call: before it the process may pause or die, and others may go on.
    fn call<T>(&self, act: impl FnOnce(&mut MachineState) -> io::Result<T>) -> io::Result<T> {
        let machine = &*self.machine;
        let mut state = machine.wait_for_turn(self.number, machine.lock());
        if state.processes[self.number].is_killed {
            return Err(io::Error::other("killed"));
        }
        state.calls += 1;
        if state.calls >= STUCK {
            state.processes[self.number].is_killed = true;
            let text = String::from_utf8_lossy(&state.inodes[0].bytes).into_owned();
            panic!("the processes get nowhere:\n{text}");
        }
        state.clock += CALL;
        if state.once_in(machine.faults.death) && state.dead.len() < DEATHS {
            self.die(state);
        }
        if state.once_in(machine.faults.pause) {
            let pause = Duration::from_secs(1 + state.below(200) as u64);
            state = self.pause(state, pause);
        } else if state.once_in(3) {
            state.next_turn();
            state = machine.wait_for_turn(self.number, state);
        }
        act(&mut state)
    }

    fn pause<'m>(
        &'m self,
        mut state: MutexGuard<'m, MachineState>,
        pause: Duration,
    ) -> MutexGuard<'m, MachineState> {
        let clock = state.clock;
        let process = &mut state.processes[self.number];
        (process.wake, process.paused) = (clock + pause, Some(clock));
        if self.machine.faults.forgets_kernel_lock {
            state.release(self.number);
        }
        state.next_turn();
        let mut state = self.machine.wait_for_turn(self.number, state);
        state.processes[self.number].paused = None;
        state
    }

    fn die(&self, mut state: MutexGuard<'_, MachineState>) -> ! {
        let clock = state.clock;
        state.processes[self.number].is_killed = true;
        let worker = state.processes[self.number].worker.clone();
        state.dead.insert(worker, clock);
        state.release(self.number);
        drop(state);
        resume_unwind(Box::new(Killed));
    }
}

/// Ends a process when it is dropped, and lets the others go on.
pub(super) struct EndsWhenDropped<'a>(pub(super) &'a SimulatedProcess);

impl Drop for EndsWhenDropped<'_> {
    fn drop(&mut self) {
        let machine = &self.0.machine;
        let mut state = machine.lock();
        state.processes[self.0.number].has_ended = true;
        state.next_turn();
        machine.turns[state.turn].notify_one();
    }
}

impl System for SimulatedProcess {
    fn open(&self, path: &Path, _access: Access) -> io::Result<Box<dyn JournalFile>> {
        self.call(|state| {
            state.handles += 1;
            Ok(Box::new(SimulatedFile {
                process: self.clone(),
                inode: state.inode(path)?,
                handle: state.handles,
            }) as Box<dyn JournalFile>)
        })
    }

    fn create_new(&self, path: &Path, text: &str) -> io::Result<Identity> {
        self.call(|state| {
            if state.names.contains_key(path) {
                return Err(ErrorKind::AlreadyExists.into());
            }
            state.inodes.push(Inode {
                bytes: text.into(),
                modified: state.clock,
                lock: None,
            });
            state.names.insert(path.to_owned(), state.inodes.len() - 1);
            state.identity(path)
        })
    }

    fn identity(&self, path: &Path) -> io::Result<Identity> {
        self.call(|state| state.identity(path))
    }

    /// A file beside the journal; for a worker's counter its heartbeats so far.
    fn read(&self, path: &Path) -> io::Result<String> {
        self.call(|state| {
            if let Ok(inode) = state.inode(path) {
                return Ok(String::from_utf8_lossy(&state.inodes[inode].bytes).into_owned());
            }
            let worker = path.file_name().unwrap_or_default().to_string_lossy();
            let process = state.processes.iter().find(|p| p.worker == worker);
            let until = match (state.dead.get(&*worker), process) {
                (Some(&death), _) => death,
                (None, Some(living)) => living.paused.unwrap_or(state.clock),
                (None, None) => return Err(ErrorKind::NotFound.into()),
            };
            Ok((until.as_secs() / HEARTBEAT.as_secs()).to_string())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(|state| {
            let inode = state.inode(from)?;
            state.names.remove(from);
            state.names.insert(to.to_owned(), inode);
            Ok(())
        })
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(|state| {
            let inode = state.inode(from)?;
            if state.names.contains_key(to) {
                return Err(ErrorKind::AlreadyExists.into());
            }
            state.names.insert(to.to_owned(), inode);
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call(|state| {
            let removed = state.names.remove(path);
            removed.map(drop).ok_or_else(|| ErrorKind::NotFound.into())
        })
    }

    fn is_gone(&self, worker: &str) -> bool {
        self.machine.faults.shows_deaths && self.machine.lock().dead.contains_key(worker)
    }

    fn time(&self) -> Duration {
        self.machine.lock().clock
    }

    fn sleep(&self, duration: Duration) {
        let mut state = self.machine.wait_for_turn(self.number, self.machine.lock());
        let clock = state.clock;
        state.processes[self.number].wake = clock + duration;
        state.next_turn();
        drop(self.machine.wait_for_turn(self.number, state));
    }
}

#[derive(Debug)]
struct SimulatedFile {
    process: SimulatedProcess,
    inode: usize,
    handle: usize,
}

impl JournalFile for SimulatedFile {
    fn try_lock(&self) -> io::Result<bool> {
        if !self.process.machine.faults.has_kernel_lock {
            return Err(ErrorKind::Unsupported.into());
        }
        let me = (self.process.number, self.handle);
        self.process.call(|state| {
            let lock = &mut state.inodes[self.inode].lock;
            Ok(*lock.get_or_insert(me) == me)
        })
    }

    fn read_from(&self, offset: u64) -> io::Result<Vec<u8>> {
        self.process.call(|state| {
            let bytes = &state.inodes[self.inode].bytes;
            Ok(bytes.get(offset as usize..).unwrap_or_default().to_vec())
        })
    }

    fn size(&self) -> io::Result<u64> {
        self.process
            .call(|state| Ok(state.inodes[self.inode].bytes.len() as u64))
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let tear = self.process.machine.faults.tear;
        let (written, is_fatal) = self.process.call(|state| {
            let written = match tear {
                Some(n) if state.tears < DEATHS && state.once_in(n) => state.below(bytes.len()),
                _ => bytes.len(),
            };
            let clock = state.clock;
            let inode = &mut state.inodes[self.inode];
            inode.bytes.extend_from_slice(&bytes[..written]);
            inode.modified = clock;
            let is_fatal = written < bytes.len() && state.once_in(2);
            state.tears += usize::from(written < bytes.len());
            Ok((written, is_fatal))
        })?;
        if is_fatal {
            self.process.die(self.process.machine.lock());
        }
        if written < bytes.len() {
            return Err(ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn blank(&self, offset: u64, length: usize) -> io::Result<()> {
        self.process.call(|state| {
            let bytes = &mut state.inodes[self.inode].bytes;
            let place = &mut bytes[offset as usize..offset as usize + length];
            assert!(!place.contains(&b'\n'), "a whole line would be lost");
            place.fill(b' ');
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.process.call(|_| Ok(()))
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        self.process
            .call(|state| Ok(state.inode(path)? == self.inode))
    }
}

impl Drop for SimulatedFile {
    fn drop(&mut self) {
        let mut state = self.process.machine.lock();
        let lock = &mut state.inodes[self.inode].lock;
        *lock = lock.filter(|(_, handle)| *handle != self.handle);
    }
}
