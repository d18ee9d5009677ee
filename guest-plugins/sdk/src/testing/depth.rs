/// Whether brackets nest more than `limit` deep, those in strings aside; whether the text is JSON is for a parser to say.
pub(super) fn exceeds(json: &[u8], limit: usize) -> bool {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => drop(bytes.next()),
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::exceeds;

    /// E1
    #[test]
    fn brackets_in_strings_do_not_count() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(!exceeds(nested(128).as_bytes(), 128));
        assert!(exceeds(nested(129).as_bytes(), 128));
        assert!(!exceeds(br#"["[[[\"[[[\\", "[["]"#, 1));
        assert!(exceeds(br#"["\\", [[]]]"#, 2));
        assert!(!exceeds(b"]]]]\"\\", 1));
    }
}
