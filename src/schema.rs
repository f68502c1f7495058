//! Columns and their types, by PostgreSQL's names, and the Arrow types that hold them.
//!
//! An Arrow type alone does not say whether a string is `text` or `jsonb`, so
//! each Arrow field carries the PostgreSQL name in its metadata.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use arrow_schema::{DataType, Field, TimeUnit};

/// Key of the Arrow field metadata that holds PostgreSQL's name of the type.
const TYPE_KEY: &str = "ferry.type";
/// Digits that an Arrow Decimal128 holds; wider numerics travel as text.
const DECIMAL_DIGITS_MAX: u16 = 38;
/// PostgreSQL's limit on the precision of a declared numeric.
const NUMERIC_PRECISION_MAX: u16 = 1000;
/// PostgreSQL's limit on the length of a varchar, in characters.
const VARCHAR_LENGTH_MAX: u32 = 10_485_760;

/// A column: its name in the header of the file, and its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name as in the header.
    pub name: String,
    /// Type that its fields are parsed to.
    pub column_type: ColumnType,
}

/// A type that a column can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// UTF-8 text without NUL.
    Text,
    /// Text of at most so many characters.
    Varchar(u32),
    /// True or false.
    Boolean,
    /// 16-bit integer.
    Smallint,
    /// 32-bit integer.
    Integer,
    /// 64-bit integer.
    Bigint,
    /// 32-bit floating point.
    Real,
    /// 64-bit floating point.
    DoublePrecision,
    /// Exact number; `None` for any precision and scale.
    Numeric(Option<Precision>),
    /// Day in the Gregorian calendar.
    Date,
    /// Time of day in microseconds.
    Time,
    /// Date and time in microseconds, without zone.
    Timestamp,
    /// Instant in microseconds.
    Timestamptz,
    /// 128-bit identifier.
    Uuid,
    /// JSON document.
    Jsonb,
    /// Bytes.
    Bytea,
}

/// Total and fractional digits of a `numeric(precision, scale)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Precision {
    /// Significant digits, 1 to 1000.
    pub precision: u16,
    /// Digits after the decimal point, 0 to `precision`.
    pub scale: u16,
}

impl Precision {
    /// Whether an Arrow Decimal128 holds every value.
    #[must_use]
    pub fn fits_decimal(self) -> bool {
        self.precision <= DECIMAL_DIGITS_MAX
    }
}

/// A type name that ferry does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown type \"{0}\": use text, varchar(n), boolean, smallint, integer, bigint, real, double precision, numeric(p,s), date, time, timestamp, timestamptz, uuid, jsonb or bytea"
)]
pub struct UnknownType(pub String);

impl FromStr for ColumnType {
    type Err = UnknownType;

    /// Reads PostgreSQL's name of a type, aliases included.
    fn from_str(name: &str) -> Result<Self, UnknownType> {
        let unknown = || UnknownType(name.to_owned());
        let lower = name.trim().to_ascii_lowercase();
        let (base, arguments) = match lower.split_once('(') {
            None => (lower.as_str(), None),
            Some((base, rest)) => {
                let inner = rest.strip_suffix(')').ok_or_else(unknown)?;
                (base.trim_end(), Some(inner))
            }
        };
        match (base, arguments) {
            ("numeric" | "decimal", Some(arguments)) => {
                parse_precision(arguments).ok_or_else(unknown)
            }
            ("varchar" | "character varying", Some(length)) => {
                parse_varchar(length).ok_or_else(unknown)
            }
            (_, Some(_)) => Err(unknown()),
            (base, None) => parse_plain(base).ok_or_else(unknown),
        }
    }
}

fn parse_plain(base: &str) -> Option<ColumnType> {
    Some(match base {
        "text" | "varchar" | "character varying" => ColumnType::Text,
        "boolean" | "bool" => ColumnType::Boolean,
        "smallint" | "int2" => ColumnType::Smallint,
        "integer" | "int" | "int4" => ColumnType::Integer,
        "bigint" | "int8" => ColumnType::Bigint,
        "real" | "float4" => ColumnType::Real,
        "double precision" | "float8" => ColumnType::DoublePrecision,
        "numeric" | "decimal" => ColumnType::Numeric(None),
        "date" => ColumnType::Date,
        "time" | "time without time zone" => ColumnType::Time,
        "timestamp" | "timestamp without time zone" => ColumnType::Timestamp,
        "timestamptz" | "timestamp with time zone" => ColumnType::Timestamptz,
        "uuid" => ColumnType::Uuid,
        "jsonb" => ColumnType::Jsonb,
        "bytea" => ColumnType::Bytea,
        _ => return None,
    })
}

fn parse_precision(arguments: &str) -> Option<ColumnType> {
    let (precision, scale) = match arguments.split_once(',') {
        Some((precision, scale)) => (precision.trim().parse().ok()?, scale.trim().parse().ok()?),
        None => (arguments.trim().parse().ok()?, 0),
    };
    let in_range = (1..=NUMERIC_PRECISION_MAX).contains(&precision) && scale <= precision;
    in_range.then_some(ColumnType::Numeric(Some(Precision { precision, scale })))
}

fn parse_varchar(length: &str) -> Option<ColumnType> {
    let length = length.trim().parse().ok()?;
    (1..=VARCHAR_LENGTH_MAX).contains(&length).then_some(ColumnType::Varchar(length))
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Varchar(length) => return write!(f, "varchar({length})"),
            Self::Numeric(Some(Precision { precision, scale })) => {
                return write!(f, "numeric({precision},{scale})");
            }
            Self::Text => "text",
            Self::Boolean => "boolean",
            Self::Smallint => "smallint",
            Self::Integer => "integer",
            Self::Bigint => "bigint",
            Self::Real => "real",
            Self::DoublePrecision => "double precision",
            Self::Numeric(None) => "numeric",
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            Self::Timestamptz => "timestamptz",
            Self::Uuid => "uuid",
            Self::Jsonb => "jsonb",
            Self::Bytea => "bytea",
        };
        f.write_str(name)
    }
}

impl ColumnType {
    /// The Arrow type that holds the column.
    #[must_use]
    pub fn arrow_type(self) -> DataType {
        match self {
            Self::Text | Self::Varchar(_) | Self::Jsonb => DataType::Utf8,
            Self::Boolean => DataType::Boolean,
            Self::Smallint => DataType::Int16,
            Self::Integer => DataType::Int32,
            Self::Bigint => DataType::Int64,
            Self::Real => DataType::Float32,
            Self::DoublePrecision => DataType::Float64,
            Self::Numeric(precision) => numeric_arrow_type(precision),
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Uuid => DataType::FixedSizeBinary(16),
            Self::Bytea => DataType::Binary,
        }
    }
}

/// The type of a column that holds the values of an Arrow type; `None` if there is none.
#[must_use]
pub fn column_type_of(data_type: &DataType) -> Option<ColumnType> {
    Some(match data_type {
        DataType::Utf8 => ColumnType::Text,
        DataType::Boolean => ColumnType::Boolean,
        DataType::Int16 => ColumnType::Smallint,
        DataType::Int32 => ColumnType::Integer,
        DataType::Int64 => ColumnType::Bigint,
        DataType::Float32 => ColumnType::Real,
        DataType::Float64 => ColumnType::DoublePrecision,
        DataType::Decimal128(precision, scale) => {
            let scale = u16::try_from(*scale).ok()?;
            ColumnType::Numeric(Some(Precision { precision: (*precision).into(), scale }))
        }
        DataType::Date32 => ColumnType::Date,
        DataType::Time64(TimeUnit::Microsecond) => ColumnType::Time,
        DataType::Timestamp(TimeUnit::Microsecond, None) => ColumnType::Timestamp,
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => ColumnType::Timestamptz,
        DataType::FixedSizeBinary(16) => ColumnType::Uuid,
        DataType::Binary => ColumnType::Bytea,
        _ => return None,
    })
}

fn numeric_arrow_type(precision: Option<Precision>) -> DataType {
    match precision {
        Some(digits) if digits.fits_decimal() => {
            let precision = u8::try_from(digits.precision).unwrap_or(u8::MAX);
            let scale = i8::try_from(digits.scale).unwrap_or(i8::MAX);
            DataType::Decimal128(precision, scale)
        }
        _ => DataType::Utf8,
    }
}

/// The Arrow schema of some columns, all nullable, each with its PostgreSQL type.
#[must_use]
pub fn arrow_schema(columns: &[Column]) -> arrow_schema::SchemaRef {
    let fields: Vec<Field> = columns.iter().map(arrow_field).collect();
    std::sync::Arc::new(arrow_schema::Schema::new(fields))
}

/// The Arrow field of one column.
#[must_use]
pub fn arrow_field(column: &Column) -> Field {
    let metadata = HashMap::from([(TYPE_KEY.to_owned(), column.column_type.to_string())]);
    Field::new(&column.name, column.column_type.arrow_type(), true).with_metadata(metadata)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A name of each type, and of each way in which a numeric is held.
    pub(crate) const TYPE_NAMES: [&str; 18] = [
        "text",
        "varchar(3)",
        "boolean",
        "smallint",
        "integer",
        "bigint",
        "real",
        "double precision",
        "numeric",
        "numeric(15,2)",
        "numeric(50,2)",
        "date",
        "time",
        "timestamp",
        "timestamptz",
        "uuid",
        "jsonb",
        "bytea",
    ];

    #[test]
    fn every_name_reads_back_as_its_type() {
        for name in TYPE_NAMES {
            let parsed: Result<ColumnType, _> = name.parse();
            assert_eq!(parsed.map(|parsed| parsed.to_string()), Ok(name.to_owned()));
        }
    }

    #[test]
    fn aliases_and_spaces_are_understood() {
        let alias = |name: &str| name.parse::<ColumnType>();
        assert_eq!(alias(" INT8 "), Ok(ColumnType::Bigint));
        assert_eq!(alias("varchar"), alias("text"));
        assert_eq!(alias("decimal(4)"), alias("numeric(4,0)"));
        assert_eq!(alias("numeric (15, 2)"), alias("numeric(15,2)"));
    }

    #[test]
    fn an_arrow_type_has_one_column_type() {
        for name in ["text", "bigint", "numeric(15,2)", "time", "timestamptz", "uuid", "bytea"] {
            let column_type: ColumnType = name.parse().expect("a type");
            assert_eq!(column_type_of(&column_type.arrow_type()), Some(column_type));
        }
        assert_eq!(column_type_of(&DataType::Date64), None);
    }

    #[test]
    fn nonsense_is_refused() {
        let nonsense = ["", "int3", "numeric(0,0)", "numeric(5,6)", "numeric(5", "text(3)"];
        for name in nonsense {
            assert!(name.parse::<ColumnType>().is_err(), "{name}");
        }
    }
}
