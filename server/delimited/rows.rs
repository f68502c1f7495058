//! Turns records into rows of typed columns; a field that does not parse becomes a reject of its row.
//!
//! Invariant: a record is either one row in every column, or a reject and a row in none.

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use ferry::batch::Batch;
use ferry::host::settings::nearest;
use ferry::position::{Place, Position};
use ferry::reject::{Code, Reason, Reject};
use ferry::schema::{Column, arrow_schema};
use ferry::values::{ColumnBuilder, utf8};

use super::records::Record;
use super::{DelimitedError, Header};

/// The rows of the next batch.
pub(super) struct Rows {
    schema: SchemaRef,
    columns: Vec<WantedColumn>,
    /// Fields that every record must have.
    field_count: usize,
    places: Vec<Place>,
    data_bytes: usize,
}

struct WantedColumn {
    name: String,
    /// Which field of a record it is.
    field: usize,
    builder: ColumnBuilder,
}

impl Rows {
    /// No rows yet, of columns that are found in the header by name.
    pub(super) fn new(header: &Header, columns: &[Column]) -> Result<Self, DelimitedError> {
        let schema = arrow_schema(columns);
        let columns = columns.iter().map(|column| WantedColumn::find(header, column));
        Ok(Self {
            schema,
            columns: columns.collect::<Result<_, _>>()?,
            field_count: header.names.len(),
            places: Vec::new(),
            data_bytes: 0,
        })
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Bytes of column data in these rows.
    pub(super) fn data_bytes(&self) -> usize {
        self.data_bytes
    }

    /// Appends a record, or says everything that is wrong with it.
    pub(super) fn push(&mut self, record: &Record<'_>) -> Result<(), Reject> {
        if record.len() != self.field_count || record.is_unclosed() {
            return Err(self.reject_shape(record));
        }
        let mut row_bytes = 0;
        let mut reasons = Vec::new();
        for column in &mut self.columns {
            match column.builder.append(record.value(column.field)) {
                Ok(bytes) => row_bytes += bytes,
                Err(code) => reasons.push(Reason::of_column(code, &column.name)),
            }
        }
        if !reasons.is_empty() {
            return Err(self.reject_fields(record, reasons));
        }
        self.data_bytes += row_bytes;
        self.places.push(record.place());
        Ok(())
    }

    /// Takes the rows as a batch of the range, `None` if there are none.
    pub(super) fn take_batch(
        &mut self,
        start: Position,
        end: Position,
    ) -> Result<Option<Batch>, DelimitedError> {
        if self.places.is_empty() {
            return Ok(None);
        }
        let arrays = self.columns.iter_mut().map(|column| column.builder.finish());
        let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.len()));
        let records = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)?;
        let next_places = Vec::with_capacity(self.len());
        let places = std::mem::replace(&mut self.places, next_places);
        self.data_bytes = 0;
        Ok(Some(Batch { records, places, start, end }))
    }

    #[cold]
    fn reject_shape(&self, record: &Record<'_>) -> Reject {
        let code = match record.len() {
            _ if record.is_unclosed() => Code::UNCLOSED_QUOTE,
            count if count < self.field_count => Code::TOO_FEW_FIELDS,
            _ => Code::TOO_MANY_FIELDS,
        };
        Reject { place: record.place(), reasons: vec![Reason::of_record(code)], fields: Vec::new() }
    }

    #[cold]
    fn reject_fields(&mut self, record: &Record<'_>, reasons: Vec<Reason>) -> Reject {
        let rows = self.len();
        for column in &mut self.columns {
            column.builder.truncate(rows);
        }
        let text = |column: &WantedColumn| {
            let field = record.value(column.field)?;
            utf8(field).ok().map(str::to_owned)
        };
        let fields = self.columns.iter().map(text).collect();
        Reject { place: record.place(), reasons, fields }
    }
}

impl WantedColumn {
    fn find(header: &Header, column: &Column) -> Result<Self, DelimitedError> {
        let name = column.name.clone();
        let Some(field) = header.names.iter().position(|known| *known == name) else {
            let names = header.names.iter().map(String::as_str);
            let nearest = nearest(&name, names).map(str::to_owned);
            return Err(DelimitedError::MissingColumn { column: name, nearest });
        };
        Ok(Self { name, field, builder: ColumnBuilder::new(column.column_type) })
    }
}
