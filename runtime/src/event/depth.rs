//! How deep JSON text nests, told without parsing it.
//!
//! serde_json's own limit does not hold for `RawValue`, which it skips over without recursion; whoever parses the data
//! later, the host or a guest, may well recurse.

/// Whether brackets nest more than `limit` deep. Understands strings and their escapes; whether the text is JSON is for a
/// parser to say. Neither recurses nor allocates.
pub(super) fn exceeds(json: &[u8], limit: usize) -> bool {
    // Most events have fewer brackets than they may have levels, and a count is many times cheaper than the walk.
    opening_brackets(json) > limit && nests_deeper(json, limit)
}

fn opening_brackets(json: &[u8]) -> usize {
    // Counted in bytes, in chunks too short to overflow one, so that the compiler takes 16 or 32 bytes at a time: 20 times
    // faster. `[` and `{` differ in the bit 0x20 only.
    const CHUNK: usize = 192;
    let in_chunk = |chunk: &[u8]| {
        chunk
            .iter()
            .fold(0_u8, |count, byte| count + u8::from(byte | 0x20 == b'{'))
    };
    json.chunks(CHUNK).map(|chunk| usize::from(in_chunk(chunk))).sum()
}

fn nests_deeper(json: &[u8], limit: usize) -> bool {
    let mut depth = 0_usize;
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_string(&mut bytes),
            b'[' | b'{' => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            // Saturating: text that closes what it never opened is no JSON, and no reason to panic.
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Moves past the closing quote of a string whose opening one was taken.
fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nested(depth: usize) -> String {
        "[".repeat(depth) + &"]".repeat(depth)
    }

    /// E1
    #[test]
    fn depth_limit_obeyed() {
        assert!(!exceeds(nested(128).as_bytes(), 128));
        assert!(!exceeds(b"1", 0));
        assert!(!exceeds(b"[[1],[2],{\"a\":[]}]", 3));
    }

    /// E1
    #[test]
    fn depth_limit_violated() {
        assert!(exceeds(nested(129).as_bytes(), 128));
        assert!(exceeds(b"[]", 0));
        assert!(exceeds(b"{\"a\":{\"b\":[0]}}", 2));
    }

    /// H21
    #[test]
    fn a_hundred_thousand_brackets_are_found_out() {
        assert!(exceeds("[".repeat(100_000).as_bytes(), 128));
        assert!(exceeds("{\"a\":".repeat(100_000).as_bytes(), 128));
    }

    /// H21
    #[test]
    fn every_bracket_is_counted() {
        for length in [0, 1, 191, 192, 193, 255, 256, 257, 100_000] {
            assert_eq!(opening_brackets("[".repeat(length).as_bytes()), length);
            assert_eq!(opening_brackets("{".repeat(length).as_bytes()), length);
            assert_eq!(opening_brackets("]};:;z".repeat(length).as_bytes()), 0);
        }
    }

    /// H21
    #[test]
    fn brackets_in_strings_do_not_count() {
        let brackets = "[{".repeat(1000);
        for text in [
            format!("[\"{brackets}\"]"),
            format!(r#"["\"{brackets}\\"]"#),
            format!(r#"["\\\"{brackets}"]"#),
        ] {
            assert!(!exceeds(text.as_bytes(), 1), "{text}");
        }
        assert!(exceeds(format!(r#"["\\",{}]"#, nested(3)).as_bytes(), 3));
    }

    /// H21
    #[test]
    fn text_that_is_no_json_is_survived() {
        for text in ["]]]]", "\"", "\"\\", "[\"\\", "{]}[", ""] {
            assert!(!exceeds(text.as_bytes(), 2), "{text}");
        }
    }

    fn depth_of(value: &serde_json::Value) -> usize {
        match value {
            serde_json::Value::Array(items) => 1 + items.iter().map(depth_of).max().unwrap_or(0),
            serde_json::Value::Object(members) => 1 + members.values().map(depth_of).max().unwrap_or(0),
            _ => 0,
        }
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            r#"[\[\]{}"\\a]{0,6}"#.prop_map(Into::into),
        ];
        leaf.prop_recursive(8, 64, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::hash_map(r#"[\[{"\\]{0,3}"#, inner, 0..4)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// E1
        #[test]
        fn agrees_with_the_depth_of_the_parsed_value(value in any_json()) {
            let text = value.to_string();
            let depth = depth_of(&value);
            prop_assert!(!exceeds(text.as_bytes(), depth));
            prop_assert!(depth == 0 || nests_deeper(text.as_bytes(), depth - 1));
            prop_assert!(depth == 0 || exceeds(text.as_bytes(), depth - 1));
        }
    }
}
