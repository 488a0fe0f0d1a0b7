//! The system's clock and randomness, replaced on a thread that simulates.
//!
//! Libraries ask the system themselves, so that two runs of a seed would differ: random bytes key std's hash maps
//! (their order) and seed the generator behind `tokio::select!`; the monotone clock is where every tokio runtime's
//! clock begins, and h2 forgets reset streams by it, so that a slow machine would change what happens. std calls the C
//! library for both, and the definitions here take their place in every program that this crate is linked into. They go
//! on to the kernel on all threads but one that called [`simulate`].
//!
//! Nothing but the linker decides whose definition a program gets: [`simulate`] refuses to go on without these.
//!
//! One leak is left: tokio numbers the runtimes of a process in a static, and seeds them by that number too. So a seed
//! gets a process of its own.

use std::cell::Cell;
use std::ffi::{c_int, c_uint, c_void};
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

/// The monotone clock when a simulation begins: far enough from zero for times before it, and in the kernel's past, so
/// that nothing really waits for a simulated time.
const CLOCK_BEGINS: Duration = Duration::from_secs(60);

thread_local! {
    /// State of the generator; none on other threads. Constant, and without a destructor: it can be asked at any time.
    static RANDOM: Cell<Option<u64>> = const { Cell::new(None) };
    static NOW: Cell<Duration> = const { Cell::new(CLOCK_BEGINS) };
}

/// From here on, random bytes of this thread follow from the seed, and its clock stands still.
///
/// # Panics
/// When this program still uses the functions of the C library: no run would be like another.
pub(super) fn simulate(seed: u64) {
    assert!(is_in_place(), "the C library's clock and randomness are not replaced in this program");
    RANDOM.set(Some(seed));
}

/// Whether std uses the definitions below: on two threads of one seed, hash maps have the same keys, and the clock moves
/// when it is set and not otherwise.
fn is_in_place() -> bool {
    let probe = || {
        RANDOM.set(Some(1));
        let begins = Instant::now();
        set_elapsed(Duration::from_secs(1));
        (RandomState::new().hash_one(0), Instant::now() - begins)
    };
    let of_a_thread = || std::thread::spawn(probe).join().ok();
    let (first, second) = (of_a_thread(), of_a_thread());
    first == second && first.is_some_and(|(_, moved)| moved == Duration::from_secs(1))
}

/// Sets this thread's clock to a time since the simulation began. What begins a clock of its own then, as the runtime
/// of a restarted server does, agrees with all others.
pub(super) fn set_elapsed(elapsed: Duration) {
    NOW.set(CLOCK_BEGINS + elapsed);
}

/// SplitMix64: good enough to spread hash maps, and a few lines.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Takes the place of the C library's function of this name.
///
/// # Safety
/// As of getrandom(2): `buffer` has room for `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, flags: c_uint) -> isize {
    let Some(mut state) = RANDOM.get().filter(|_| !buffer.is_null()) else {
        // SAFETY: the caller's promise is passed on as it is. The kernel's answer fits an isize.
        return unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) as isize };
    };
    // SAFETY: the caller promises room for `length` bytes, and the pointer is not null.
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
    for chunk in bytes.chunks_mut(8) {
        let random = next(&mut state).to_le_bytes();
        chunk.copy_from_slice(&random[..chunk.len()]);
    }
    RANDOM.set(Some(state));
    isize::try_from(length).unwrap_or(isize::MAX)
}

/// Takes the place of the C library's function of this name.
///
/// # Safety
/// As of clock_gettime(2): `time` has room for a timespec.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int {
    if RANDOM.get().is_none() || time.is_null() {
        // SAFETY: the caller's promise is passed on as it is. The kernel's answer is 0 or -1.
        return unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) as c_int };
    }
    let now = NOW.get();
    let answer = libc::timespec { tv_sec: now.as_secs() as i64, tv_nsec: i64::from(now.subsec_nanos()) };
    // SAFETY: the caller promises room for a timespec, and the pointer is not null.
    unsafe { time.write(answer) };
    0
}
