//! The two pieces of JSON that are written by hand, because they go into a buffer and can't fail.

/// Appends a text as a JSON string.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    // Whatever needs no escape is copied in one piece up to what does.
    while let Some(at) = rest.iter().position(|byte| needs_escape(*byte)) {
        let (plain, escaped) = rest.split_at(at);
        out.extend_from_slice(plain);
        rest = match escaped.split_first() {
            Some((byte, after)) => {
                escape(out, *byte);
                after
            }
            None => &[],
        };
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        other => out.extend_from_slice(format!("\\u{other:04x}").as_bytes()),
    }
}

/// Appends JSON text as one line: as it is, or where it has line ends, without the white space between its tokens.
pub(super) fn one_line(out: &mut Vec<u8>, json: &[u8]) {
    if !json.contains(&b'\n') && !json.contains(&b'\r') {
        out.extend_from_slice(json);
        return;
    }
    let (mut in_string, mut escaped) = (false, false);
    for byte in json {
        match byte {
            b'"' if !escaped => in_string = !in_string,
            b' ' | b'\t' | b'\n' | b'\r' if !in_string => continue,
            _ => {}
        }
        escaped = in_string && *byte == b'\\' && !escaped;
        out.push(*byte);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    /// E2
    #[test]
    fn line_ends_go_and_strings_stay() {
        let pretty = "{\n  \"a b\": [1,\r\n\t2],\n  \"\\\" \\\\\": \" x \\\\\"\n}";
        let mut out = Vec::new();
        one_line(&mut out, pretty.as_bytes());
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"a b":[1,2],"\" \\":" x \\"}"#);
    }

    /// E2
    #[test]
    fn json_in_one_line_is_left_alone() {
        let json = b" { \"a\" :\t1.0e+05 , \"a\" : \"\\n\" } ";
        let mut out = Vec::new();
        one_line(&mut out, json);
        assert_eq!(out, json);
    }

    proptest! {
        /// E2
        #[test]
        fn strings_are_written_as_serde_json_writes_them(text in any::<String>()) {
            let mut out = Vec::new();
            string(&mut out, &text);
            let theirs = serde_json::to_string(&text).unwrap();
            // `\b` and `\f` have short forms, which mean the same.
            let theirs = theirs.replace("\\b", "\\u0008").replace("\\f", "\\u000c");
            let same = serde_json::from_slice::<String>(&out).unwrap() == text;
            prop_assert!(same && (String::from_utf8(out).unwrap() == theirs || theirs.contains("\\\\u00")));
        }
    }
}
