//! Collects the headers of a dataset's files, each once however many files have it.

use std::collections::HashMap;

use ferry::schema::Column;
use ferry::wire::MESSAGE_BYTES_MAX;

use crate::catalog::dataset::Dataset;
use crate::error::RequestError;

/// The headers of a plan.
#[derive(Debug, Default)]
pub(super) struct Headers {
    /// Where the header of these names is.
    indexes: HashMap<Vec<String>, usize>,
    columns: Vec<Vec<Column>>,
    /// Bytes of all names.
    name_bytes: usize,
}

impl Headers {
    /// Takes the header of a file, and says which of them it is.
    ///
    /// # Errors
    ///
    /// More headers than the message of a plan can hold.
    pub(super) fn add(
        &mut self,
        dataset: &Dataset,
        names: Vec<String>,
    ) -> Result<usize, RequestError> {
        if let Some(index) = self.indexes.get(&names) {
            return Ok(*index);
        }
        self.name_bytes += names.iter().map(String::len).sum::<usize>();
        if self.name_bytes > MESSAGE_BYTES_MAX {
            return Err(RequestError::InvalidRequest(
                "the files have more different headers than a plan can tell: declare several datasets"
                    .to_owned(),
            ));
        }
        self.columns.push(dataset.declare(&names));
        let index = self.columns.len() - 1;
        self.indexes.insert(names, index);
        Ok(index)
    }

    /// Takes the columns that all files of a plan share.
    pub(super) fn add_shared(&mut self, columns: &[Column]) -> usize {
        if self.columns.is_empty() {
            self.columns.push(columns.to_vec());
        }
        0
    }

    /// The headers in the order in which they were met, with the dataset's types.
    pub(super) fn into_columns(self) -> Vec<Vec<Column>> {
        self.columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::dataset::tests::dataset;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_same_header_is_kept_once() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let dataset = dataset(folder.path(), &[("uid", "bigint")]);
        let mut headers = Headers::default();
        let mut add = |columns: &[&str]| headers.add(&dataset, names(columns)).expect("a header");
        let indexes = [add(&["uid", "a"]), add(&["a", "uid"]), add(&["uid", "a"])];
        assert_eq!(indexes, [0, 1, 0]);
        let columns = headers.into_columns();
        assert_eq!(columns.len(), 2);
        let uid = Column { name: "uid".to_owned(), column_type: "bigint".parse().expect("a type") };
        assert_eq!(columns[1][1], uid);
    }

    #[test]
    fn headers_are_bounded() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let dataset = dataset(folder.path(), &[]);
        let mut headers = Headers::default();
        let long = "x".repeat(MESSAGE_BYTES_MAX / 2);
        for number in 0..3 {
            let added = headers.add(&dataset, vec![format!("{long}{number}")]);
            assert_eq!(added.is_ok(), number == 0, "{number}");
        }
    }
}
