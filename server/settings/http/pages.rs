//! Turns `[dataset.pages]` into how the pages of an API are asked for.
//!
//! Invariant: a key that the kind of paging has no use for is refused.

use std::ops::RangeInclusive;

use serde::Deserialize;

use super::check_parameter;
use crate::fetch::{Incremental, PageSize, Paging};
use crate::json::{Framing, Pointer};
use crate::settings::words::{one_of, within};

const PAGES_DEFAULT: u32 = 1000;
const PAGES: RangeInclusive<u32> = 1..=100_000;
const SIZES: RangeInclusive<u64> = 1..=1_000_000;
const FIRST_MAX: u64 = 1_000_000;

/// `[dataset.pages]` as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::settings) struct RawPages {
    by: String,
    parameter: Option<String>,
    first: Option<u64>,
    size_parameter: Option<String>,
    size: Option<u64>,
    cursor: Option<String>,
    next_url: Option<String>,
    max_pages: Option<u32>,
}

#[derive(Debug, Clone, Copy)]
enum By {
    Number,
    Offset,
    Cursor,
    Link,
    NextUrl,
}

const KINDS: [(&str, By); 5] = [
    ("number", By::Number),
    ("offset", By::Offset),
    ("cursor", By::Cursor),
    ("link", By::Link),
    ("next_url", By::NextUrl),
];

/// How pages are asked for, and how many at most.
pub(super) fn paging(raw: Option<RawPages>, framing: &Framing) -> Result<(Paging, u32), String> {
    let Some(mut raw) = raw else {
        return Ok((Paging::Once, PAGES_DEFAULT));
    };
    let by = one_of("pages.by", &raw.by, &KINDS)?;
    let paging = match by {
        By::Number => Paging::Number {
            parameter: raw.take_parameter("page")?,
            first: within("pages.first", raw.first.take().unwrap_or(1), &(0..=FIRST_MAX))?,
            size: raw.take_size()?,
        },
        By::Offset => Paging::Offset {
            parameter: raw.take_parameter("offset")?,
            size: raw.take_size()?.ok_or_else(|| {
                "pages.size is missing: write how many records a full page holds, such as size = 100"
                    .to_owned()
            })?,
        },
        By::Cursor => Paging::Cursor {
            parameter: raw.take_parameter("cursor")?,
            cursor: pointer("pages.cursor", raw.cursor.take(), "/meta/next_cursor", framing)?,
        },
        By::Link => Paging::Link,
        By::NextUrl => Paging::NextUrl {
            next_url: pointer("pages.next_url", raw.next_url.take(), "/paging/next", framing)?,
        },
    };
    if let Some(key) = raw.left_over() {
        return Err(format!("pages.{key} has no meaning with by = {:?}: remove it", raw.by));
    }
    Ok((paging, within("pages.max_pages", raw.max_pages.unwrap_or(PAGES_DEFAULT), &PAGES)?))
}

/// Refuses one parameter for two things, of which only one would be sent.
pub(super) fn check_parameters(
    paging: &Paging,
    incremental: Option<&Incremental>,
) -> Result<(), String> {
    let (place, size) = match paging {
        Paging::Number { parameter, size, .. } => (Some(parameter), size.as_ref()),
        Paging::Offset { parameter, size } => (Some(parameter), Some(size)),
        Paging::Cursor { parameter, .. } => (Some(parameter), None),
        Paging::Once | Paging::Link | Paging::NextUrl { .. } => (None, None),
    };
    let uses = [
        ("pages.parameter", place),
        ("pages.size_parameter", size.and_then(|size| size.parameter.as_ref())),
        ("incremental.parameter", incremental.map(|incremental| &incremental.parameter)),
    ];
    for (index, (key, name)) in uses.iter().enumerate() {
        let twin = uses[..index].iter().find(|(_, other)| name.is_some() && other == name);
        if let Some((other, _)) = twin {
            return Err(format!("{key} is the same as {other}: each needs one of its own"));
        }
    }
    Ok(())
}

impl RawPages {
    fn take_parameter(&mut self, example: &str) -> Result<String, String> {
        let parameter = self.parameter.take().ok_or_else(|| {
            format!("pages.parameter is missing: write its name, such as parameter = \"{example}\"")
        })?;
        check_parameter("pages.parameter", &parameter)?;
        Ok(parameter)
    }

    fn take_size(&mut self) -> Result<Option<PageSize>, String> {
        let parameter = self.size_parameter.take();
        if let Some(name) = &parameter {
            check_parameter("pages.size_parameter", name)?;
        }
        match (self.size.take(), parameter) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(
                "pages.size_parameter needs a size: write how many records it asks for, such as size = 100"
                    .to_owned(),
            ),
            (Some(records), parameter) => {
                let records = within("pages.size", records, &SIZES)?;
                Ok(Some(PageSize { records, parameter }))
            }
        }
    }

    /// A key that is set, and was not taken.
    fn left_over(&self) -> Option<&'static str> {
        let keys = [
            ("parameter", self.parameter.is_some()),
            ("first", self.first.is_some()),
            ("size_parameter", self.size_parameter.is_some()),
            ("size", self.size.is_some()),
            ("cursor", self.cursor.is_some()),
            ("next_url", self.next_url.is_some()),
        ];
        keys.into_iter().find(|(_, is_set)| *is_set).map(|(key, _)| key)
    }
}

/// Where something of the next page stands in the body of one.
fn pointer(
    key: &str,
    text: Option<String>,
    example: &str,
    framing: &Framing,
) -> Result<Pointer, String> {
    if *framing == Framing::Lines {
        return Err(format!(
            "{key} is read from a JSON document, but format = \"ndjson\": write by = \"number\", \"offset\" or \"link\""
        ));
    }
    let text = text.filter(|text| !text.is_empty()).ok_or_else(|| {
        format!("{key} is missing: write the JSON pointer of it in a page, such as \"{example}\"")
    })?;
    text.parse().map_err(|problem| format!("{key}: {problem}"))
}
