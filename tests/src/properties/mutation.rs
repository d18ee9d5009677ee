//! Changes to bytes, as an input asks for them.

use arbitrary::{Arbitrary, Unstructured};

/// The most changes to one text.
const MOST: usize = 12;

/// One change. Places and lengths are taken modulo what there is.
#[derive(Arbitrary)]
enum Change {
    Flip { at: u32, bit: u8 },
    Set { at: u32, to: u8 },
    Insert { at: u32, bytes: [u8; 4], count: u8 },
    Delete { at: u32, count: u16 },
    Repeat { at: u32, count: u16, times: u8 },
    Splice { from: u32, at: u32, count: u16 },
    Swap { one: u32, other: u32, count: u8 },
    Cut { at: u32 },
}

/// The bytes with as many changes as the input has words for.
pub(super) fn mutated(bytes: &[u8], input: &mut Unstructured<'_>) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..MOST {
        if input.is_empty() || bytes.is_empty() {
            break;
        }
        let Ok(change) = Change::arbitrary(input) else { break };
        change.apply(&mut bytes);
    }
    bytes
}

impl Change {
    fn apply(self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        let place = |at: u32| at as usize % length;
        let range = |at: u32, count: usize| place(at)..(place(at) + count).min(length);
        match self {
            Self::Flip { at, bit } => bytes[place(at)] ^= 1 << (bit % 8),
            Self::Set { at, to } => bytes[place(at)] = to,
            Self::Insert { at, bytes: new, count } => {
                let count = usize::from(count) % (new.len() + 1);
                bytes.splice(place(at)..place(at), new.into_iter().take(count));
            }
            Self::Delete { at, count } => drop(bytes.drain(range(at, usize::from(count)))),
            Self::Repeat { at, count, times } => {
                let piece = bytes[range(at, usize::from(count) % 256)].repeat(usize::from(times) % 64);
                bytes.splice(place(at)..place(at), piece);
            }
            Self::Splice { from, at, count } => {
                let piece = bytes[range(from, usize::from(count))].to_vec();
                bytes.splice(range(at, piece.len()), piece);
            }
            Self::Swap { one, other, count } => {
                for step in 0..usize::from(count) {
                    bytes.swap((place(one) + step) % length, (place(other) + step) % length);
                }
            }
            Self::Cut { at } => bytes.truncate(place(at)),
        }
    }
}
