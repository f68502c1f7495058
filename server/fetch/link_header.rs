//! Finds the next page in `Link` headers (RFC 8288).

/// The target of the first link whose relation is "next".
pub(super) fn next_link<'a>(headers: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    headers.into_iter().find_map(next_in)
}

fn next_in(header: &str) -> Option<&str> {
    let mut rest = header;
    loop {
        let (_, after) = rest.split_once('<')?;
        let (target, after) = after.split_once('>')?;
        let end = end_of_link(after);
        if is_next(&after[..end]) {
            return Some(target.trim());
        }
        rest = &after[end..];
    }
}

/// Where the parameters of a link end: at a comma outside quotes, or with the header.
fn end_of_link(parameters: &str) -> usize {
    let mut quote = Quote::Outside;
    for (index, byte) in parameters.bytes().enumerate() {
        if quote == Quote::Outside && byte == b',' {
            return index;
        }
        quote = quote.after(byte);
    }
    parameters.len()
}

/// Whether the first `rel` among the parameters has "next" among its words.
fn is_next(parameters: &str) -> bool {
    let mut quote = Quote::Outside;
    let separates = |char: char| {
        let is_end = quote == Quote::Outside && char == ';';
        // Characters beyond ASCII are neither quotes nor escapes.
        quote = quote.after(u8::try_from(char).unwrap_or(b'x'));
        is_end
    };
    let relation = parameters.split(separates).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("rel").then(|| value.trim().trim_matches('"'))
    });
    let mut words = relation.unwrap_or_default().split_ascii_whitespace();
    words.any(|word| word.eq_ignore_ascii_case("next"))
}

/// Where in quotes a place is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quote {
    Outside,
    Inside,
    Escaped,
}

impl Quote {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Outside, b'"') | (Self::Escaped, _) => Self::Inside,
            (Self::Inside, b'"') => Self::Outside,
            (Self::Inside, b'\\') => Self::Escaped,
            (place, _) => place,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_link_is_found_among_others() {
        let github = "<https://h/u?page=1>; rel=\"prev\", <https://h/u?page=3>; rel=\"next\", <https://h/u?page=9>; rel=\"last\"";
        assert_eq!(next_link([github]), Some("https://h/u?page=3"));
        assert_eq!(next_link(["<a>; rel=last", "<b>; rel=next"]), Some("b"));
        assert_eq!(next_link(["<?p=2>;title=\"a, b; rel=x\";REL=\"last Next\""]), Some("?p=2"));
        assert_eq!(next_link(["< /a,b;c >; rel=next"]), Some("/a,b;c"));
        assert_eq!(next_link(["<a>; title=\"\\\", <x>; rel=next\", <b>; rel=\"next\""]), Some("b"));
    }

    #[test]
    fn without_a_next_link_there_is_none() {
        for header in [
            "",
            "<a>",
            "<a>; rel=prev",
            "<a; rel=next",
            "a; rel=next",
            "<a>; rel=nexts",
            "<a>; rel=prev; rel=next",
            "<a>; title=\"ä; rel=next\"",
            "<a>; title=\"<b>; rel=next",
        ] {
            assert_eq!(next_link([header]), None, "{header}");
        }
        assert_eq!(next_link([]), None);
    }
}
