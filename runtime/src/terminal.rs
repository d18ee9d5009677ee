//! What may not reach a terminal as it is. The library and the binary both have this module.

/// Control characters; the two separators that end a line; and what changes the direction of the text around it, so that
/// a line reads as another than it is.
pub(crate) fn is_unsafe_to_show(character: char) -> bool {
    const LINES: std::ops::RangeInclusive<char> = '\u{2028}'..='\u{2029}';
    const EMBEDDINGS: std::ops::RangeInclusive<char> = '\u{202a}'..='\u{202e}';
    const ISOLATES: std::ops::RangeInclusive<char> = '\u{2066}'..='\u{2069}';
    const MARKS: [char; 3] = ['\u{61c}', '\u{200e}', '\u{200f}'];
    let turns = EMBEDDINGS.contains(&character) || ISOLATES.contains(&character) || MARKS.contains(&character);
    character.is_control() || LINES.contains(&character) || turns
}
