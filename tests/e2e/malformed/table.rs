//! Turns a number into a good row: types, quotes, line ends inside them, empty and missing values.

/// The columns, as the header has them.
pub(super) const HEADER: &str = "file,id,born,name,note,amount,tag";
/// Those of them that are no text, for `[dataset.columns]`.
pub(super) const TYPES: &str =
    "file = \"integer\"\nid = \"integer\"\nborn = \"date\"\namount = \"numeric(10,2)\"\n";
/// Which field is which.
pub(super) const BORN: usize = 2;
pub(super) const NAME: usize = 3;
pub(super) const NOTE: usize = 4;
pub(super) const TAG: usize = 6;

/// What is stored of a row; `None` is NULL.
pub(super) type Values = Vec<Option<String>>;

/// A good row.
pub(super) struct Row {
    /// What ends it, and lines inside its fields.
    pub(super) line_end: &'static str,
    pub(super) values: Values,
    /// The same as it is written.
    fields: Vec<String>,
}

impl Row {
    /// Row `id` of a file, with a word in the letters of its encoding, and so
    /// many bytes more than it needs.
    pub(super) fn new(
        file: usize,
        id: usize,
        word: &str,
        line_end: &'static str,
        filling: usize,
    ) -> Self {
        let mut row = Self { line_end, values: Vec::new(), fields: Vec::new() };
        row.bare(&file.to_string());
        row.bare(&id.to_string());
        row.born(id);
        match id % 4 {
            0 => row.bare(&format!("Ann {id}")),
            1 => row.quoted(&format!("{word}, {id}")),
            2 => row.quoted(&format!("the \"{word}\"")),
            _ => row.bare(word),
        }
        row.note(id);
        if id % 10 == 3 {
            row.missing();
        } else {
            row.bare(&format!("{id}.50"));
        }
        match (filling, id % 3) {
            (0, 0) => row.bare("tag"),
            (0, _) => row.missing(),
            _ => row.bare(&"x".repeat(filling)),
        }
        row
    }

    /// The row as it is written, without line end.
    pub(super) fn text(&self) -> String {
        self.fields.join(",")
    }

    /// The same with other words in some of its fields.
    pub(super) fn with(&self, words: &[(usize, &str)]) -> String {
        let mut fields: Vec<&str> = self.fields.iter().map(String::as_str).collect();
        for (index, word) in words {
            fields[*index] = word;
        }
        fields.join(",")
    }

    /// The first fields as they are written.
    pub(super) fn first(&self, count: usize) -> String {
        self.fields[..count].join(",")
    }

    /// What is stored if one field has another value.
    pub(super) fn values_with(&self, index: usize, value: &str) -> Values {
        let mut values = self.values.clone();
        values[index] = Some(value.to_owned());
        values
    }

    /// Quoted in the rows whose first quote should not be that of a note
    /// that begins with a line end or a delimiter.
    fn born(&mut self, id: usize) {
        let day = format!("1990-01-{:02}", id % 28 + 1);
        if id % 6 == 5 {
            self.quoted(&day);
        } else if id.is_multiple_of(9) {
            self.missing();
        } else {
            self.bare(&day);
        }
    }

    fn note(&mut self, id: usize) {
        let end = self.line_end;
        match id % 18 {
            5 => self.quoted(&format!("{end}seven")),
            11 => self.quoted(",eight"),
            17 => self.quoted("\"nine\""),
            other => match other % 6 {
                0 => self.quoted(&format!("one {id}{end}two,{end}{end}three")),
                1 => self.missing(),
                2 => self.quoted(""),
                3 => self.bare("plain"),
                _ => self.quoted(&format!("four{end}\"five\", six")),
            },
        }
    }

    fn bare(&mut self, value: &str) {
        self.values.push(Some(value.to_owned()));
        self.fields.push(value.to_owned());
    }

    fn quoted(&mut self, value: &str) {
        self.values.push(Some(value.to_owned()));
        self.fields.push(quoted(value));
    }

    fn missing(&mut self) {
        self.values.push(None);
        self.fields.push(String::new());
    }
}

/// Values as `COPY` reads them.
pub(super) fn oracle_line(values: &[Option<String>]) -> String {
    let fields: Vec<String> =
        values.iter().map(|value| value.as_deref().map(quoted).unwrap_or_default()).collect();
    fields.join(",") + "\n"
}

fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('"', "\"\""))
}
