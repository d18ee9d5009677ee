//! Taking too much memory, or too much stack.

use std::hint::black_box;
use std::sync::atomic::{AtomicU8, Ordering};

use palisade_sdk::prelude::*;
use wasip2::random::random::get_random_bytes;

use crate::{Hostile, data, report};

const MEBIBYTE: usize = 1024 * 1024;

/// Allocates until the allocator gives up and aborts.
pub(super) fn alloc(_: &mut Hostile, _: &Event, _: &Context) -> Result<(), Failure> {
    let mut taken: Vec<Vec<u8>> = Vec::new();
    loop {
        taken.push(black_box(Vec::with_capacity(MEBIBYTE)));
    }
}

/// Allocates until it is refused, gives it all back and reports how much it was as `mebibytes`.
pub(super) fn grow(_: &mut Hostile, _: &Event, cx: &Context) -> Result<(), Failure> {
    let mut taken: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut piece = Vec::new();
        if piece.try_reserve_exact(MEBIBYTE).is_err() || taken.try_reserve(1).is_err() {
            break;
        }
        taken.push(black_box(piece));
    }
    let mebibytes = taken.len();
    drop(taken);
    report::publish(cx, "grow", json!({ "mebibytes": mebibytes }))
}

/// What nobody has written yet: zero, because memory that a guest gets is.
static BLANK: [AtomicU8; MEBIBYTE / 4] = [const { AtomicU8::new(0) }; MEBIBYTE / 4];

/// Reports how many bytes were not blank as `remains`, and leaves none blank.
pub(super) fn remains(_: &mut Hostile, _: &Event, cx: &Context) -> Result<(), Failure> {
    let before = BLANK.iter().map(|byte| byte.swap(0xA5, Ordering::Relaxed));
    let remains = before.filter(|byte| *byte != 0).count();
    report::publish(cx, "remains", json!({ "remains": remains }))
}

/// Fills so many MiB again and again, 32 without a number.
pub(super) fn fill(_: &mut Hostile, event: &Event, _: &Context) -> Result<(), Failure> {
    let mut memory = vec![0; data::mebibytes_or(event, 32)?];
    for byte in (0..=u8::MAX).cycle() {
        black_box(&mut memory).fill(byte);
    }
    Ok(())
}

/// Calls itself for ever. Its frames are almost all the engine's: the guest's own stack, in its memory, is larger.
pub(super) fn recurse(_: &mut Hostile, _: &Event, _: &Context) -> Result<(), Failure> {
    deeper(0);
    Ok(())
}

/// Calls itself for ever, and the host at every level: so at the brim too. The host calls back for memory.
pub(super) fn brim(_: &mut Hostile, _: &Event, _: &Context) -> Result<(), Failure> {
    deeper_with_calls(0);
    Ok(())
}

#[inline(never)]
#[expect(unconditional_recursion, reason = "that is the sin")]
fn deeper(level: u64) -> u64 {
    black_box(deeper(level + 1)) + level
}

#[inline(never)]
#[expect(unconditional_recursion, reason = "that is the sin")]
fn deeper_with_calls(level: u64) -> u64 {
    let called = get_random_bytes(64).len() as u64;
    black_box(deeper_with_calls(level + called)) + level
}
