//! Cuts a list that is ordered by name into pages; a page's token is the last name before it.

use crate::error::RequestError;

const SIZE_DEFAULT: usize = 100;
const SIZE_MAX: usize = 1000;

/// Which part of a list is asked for.
#[derive(Debug)]
pub(super) struct Page {
    size: usize,
    after: String,
}

impl Page {
    pub(super) fn new(page_size: i32, page_token: String) -> Result<Self, RequestError> {
        let size = match usize::try_from(page_size) {
            Ok(0) => SIZE_DEFAULT,
            Ok(size) => size.min(SIZE_MAX),
            Err(_) => {
                let text = "field `page_size` is negative: leave it out, or set 1 to 1000";
                return Err(RequestError::InvalidRequest(text.to_owned()));
            }
        };
        Ok(Self { size, after: page_token })
    }

    /// The items of the page, and the token of the next one, empty on the last.
    pub(super) fn cut<T>(&self, items: Vec<T>, name: impl Fn(&T) -> String) -> (Vec<T>, String) {
        let is_after = |item: &T| self.after.is_empty() || name(item) > self.after;
        let mut page: Vec<T> = items.into_iter().filter(is_after).collect();
        let has_next = page.len() > self.size;
        page.truncate(self.size);
        let token = page.last().filter(|_| has_next).map(&name).unwrap_or_default();
        (page, token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_cover_the_list_once() {
        let items: Vec<String> = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        let mut seen = Vec::new();
        let mut token = String::new();
        loop {
            let page = Page::new(2, token).expect("it is a page");
            let (part, next) = page.cut(items.clone(), String::clone);
            seen.extend(part);
            if next.is_empty() {
                break;
            }
            token = next;
        }
        assert_eq!(seen, items);
    }

    #[test]
    fn sizes_are_bounded() {
        let size = |size| Page::new(size, String::new()).map(|page| page.size).ok();
        assert_eq!(
            (size(0), size(7), size(5000), size(-1)),
            (Some(100), Some(7), Some(1000), None)
        );
    }
}
