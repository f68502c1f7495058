//! Turns a syntax tree into a typed plan, or says which part of it does not fit the columns.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion_common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion_common::{DFSchema, DFSchemaRef, DataFusionError};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::expr::{BinaryExpr as LogicalBinary, Cast};
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::simplify::SimplifyContext;
use datafusion_expr::{Expr, ExprSchemable as _};
use datafusion_optimizer::simplify_expressions::ExprSimplifier;
use datafusion_physical_expr::expressions::{BinaryExpr, Column};
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion_sql::planner::{PlannerContext, SqlToRel};
use datafusion_sql::sqlparser::ast::{Expr as SqlExpr, Spanned as _, visit_expressions};
use datafusion_sql::sqlparser::tokenizer::Span;
use ferry::host::settings::nearest;

use super::error::ExpressionError;
use super::functions::{Catalogue, parser_options, unknown_function};
use super::{Expression, numbers, parse, rules};
use crate::names::quote_ident;

/// Plans a tree over the columns of a schema.
pub(super) fn plan(
    setting: &str,
    text: &str,
    parsed: &SqlExpr,
    schema: &SchemaRef,
) -> Result<Expression, ExpressionError> {
    let columns = Columns::of(schema);
    columns.plan(parsed).map_err(|problem| {
        let (span, problem) = columns.smallest_failing_part(parsed).unwrap_or((None, problem));
        ExpressionError::new(setting, text, span, problem)
    })
}

/// The columns that an expression can use.
struct Columns {
    schema: DFSchemaRef,
    uuid_indexes: Vec<usize>,
    catalogue: Catalogue,
}

impl Columns {
    fn of(schema: &SchemaRef) -> Self {
        let fields = schema.fields().iter().map(|field| seen(field));
        let seen = Schema::new(fields.collect::<Vec<_>>());
        let seen = DFSchema::try_from(seen).unwrap_or_else(|_| DFSchema::empty());
        let is_uuid = |index: &usize| is_uuid(schema.field(*index).data_type());
        let uuid_indexes = (0..schema.fields().len()).filter(is_uuid).collect();
        Self { schema: Arc::new(seen), uuid_indexes, catalogue: Catalogue::new() }
    }

    /// Plans a tree; the error is the problem in words.
    fn plan(&self, parsed: &SqlExpr) -> Result<Expression, String> {
        if let Some(problem) = self.refused_syntax(parsed) {
            return Err(problem);
        }
        self.try_plan(parsed).map_err(|error| words(&error))?
    }

    fn try_plan(&self, parsed: &SqlExpr) -> Result<Result<Expression, String>, DataFusionError> {
        let planner = SqlToRel::new_with_options(&self.catalogue, parser_options());
        let logical =
            planner.sql_to_expr(parsed.clone(), &self.schema, &mut PlannerContext::new())?;
        if let Some(problem) = rules::refused(&logical, &self.schema)? {
            return Ok(Err(problem));
        }
        let logical = numbers::with_floats(logical, &self.schema)?;
        let context = SimplifyContext::builder()
            .with_schema(Arc::clone(&self.schema))
            .with_current_time()
            .with_config_options(self.catalogue.shared_options())
            .build();
        let simplifier = ExprSimplifier::new(context);
        let typed = simplifier.coerce(logical, &self.schema)?;
        if rules::reads_bytes_as_text(&typed, &self.schema)? {
            let problem = "it takes bytea for text: use encode(…, 'hex'), or decode('…', 'hex') for what it is compared with";
            return Ok(Err(problem.to_owned()));
        }
        let typed = numbers::with_checked_divisors(typed, &self.schema)?;
        let typed = numbers::with_checked_signs(typed, &self.schema)?;
        let typed = numbers::with_rounding(typed, &self.schema)?;
        if has_failing_constant(&typed)? {
            return Ok(Err("it fails whatever the row holds".to_owned()));
        }
        let found = typed.get_type(&self.schema)?;
        let Some(data_type) = loadable_type(&found) else {
            return Ok(Err(format!("it gives {}, which no column can hold", type_name(&found))));
        };
        let typed = if found == data_type { typed } else { cast_to(typed, data_type.clone()) };
        let simple = simplifier.simplify(typed)?;
        let physical = create_physical_expr(
            &simple,
            &self.schema,
            &ExecutionProps::new(),
            &PhysicalPlanningContext::default(),
        )?;
        let plan = with_checked_overflow(physical)?;
        let column_indexes = column_indexes(&plan)?;
        let is_used = |index: &usize| column_indexes.contains(index);
        let uuid_indexes = self.uuid_indexes.iter().copied().filter(is_used).collect();
        let expression = Expression { plan, data_type, column_indexes, uuid_indexes };
        if expression.fails_always() {
            return Ok(Err("it fails whatever the row holds".to_owned()));
        }
        Ok(Ok(expression))
    }

    /// What is wrong with the outermost part of a tree, if that can be told from its form.
    fn refused_syntax(&self, parsed: &SqlExpr) -> Option<String> {
        match parsed {
            SqlExpr::Identifier(identifier) => self.unknown_column(&parse::name_of(identifier)),
            SqlExpr::Function(function) => {
                unknown_function(&function.name.to_string().to_ascii_lowercase())
            }
            SqlExpr::Subquery(_) | SqlExpr::Exists { .. } | SqlExpr::InSubquery { .. } => {
                Some("an expression sees one row: there are no subqueries".to_owned())
            }
            SqlExpr::AtTimeZone { time_zone, .. } if !matches!(**time_zone, SqlExpr::Value(_)) => {
                Some("a time zone is written as text, such as 'Europe/Berlin'".to_owned())
            }
            SqlExpr::SimilarTo { .. } => {
                Some("SIMILAR TO is not here: use LIKE, or a regular expression with ~".to_owned())
            }
            SqlExpr::Array(_) => Some("there are no lists in expressions".to_owned()),
            _ => None,
        }
    }

    fn unknown_column(&self, name: &str) -> Option<String> {
        let fields = || self.schema.fields().iter().map(|field| field.name().as_str());
        if fields().any(|field| field == name) {
            return None;
        }
        let near = fields().find(|field| field.eq_ignore_ascii_case(name));
        let hint = match near.or_else(|| nearest(name, fields())) {
            Some(near) => format!(": did you mean {}?", as_written(near)),
            None => {
                format!(": there are {}", fields().map(as_written).collect::<Vec<_>>().join(", "))
            }
        };
        Some(format!("there is no column {} here{hint}", as_written(name)))
    }

    /// The innermost part that does not plan by itself, and what is wrong with it.
    fn smallest_failing_part(&self, parsed: &SqlExpr) -> Option<(Option<Span>, String)> {
        let mut smallest: Option<(Span, String)> = None;
        let _ = visit_expressions(parsed, |part| {
            if let Err(problem) = self.plan(part) {
                let span = part.span();
                let is_known = span.start.line > 0;
                let is_smaller = smallest.as_ref().is_none_or(|(found, _)| is_inside(span, *found));
                if is_known && is_smaller {
                    smallest = Some((span, problem));
                }
            }
            ControlFlow::<()>::Continue(())
        });
        smallest.map(|(span, problem)| (Some(span), problem))
    }
}

/// A name as it stands in an expression: in quotes unless it is small letters, digits and `_`.
fn as_written(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let begins_plain = name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    if begins_plain && name.bytes().all(is_plain) { name.to_owned() } else { quote_ident(name) }
}

fn is_inside(inner: Span, outer: Span) -> bool {
    inner.start >= outer.start && inner.end <= outer.end
}

/// Where a message begins with words that only DataFusion's authors need.
const PREFIXES: [&str; 9] = [
    "Error during planning: ",
    "Schema error: ",
    "SQL error: ",
    "This feature is not implemented: ",
    "Arrow error: ",
    "Execution error: ",
    "Internal error: ",
    "Parser error: ",
    "Cast error: ",
];

/// Arrow's names of types and PostgreSQL's, longer ones first.
const TYPE_NAMES: [(&str, &str); 10] = [
    ("Utf8View", "text"),
    ("Utf8", "text"),
    ("Boolean", "boolean"),
    ("Int16", "smallint"),
    ("Int32", "integer"),
    ("Int64", "bigint"),
    ("Float32", "real"),
    ("Float64", "double precision"),
    ("Decimal128", "numeric"),
    ("Date32", "date"),
];

/// DataFusion's message, without what it says of itself.
fn words(error: &DataFusionError) -> String {
    let message = error.strip_backtrace();
    let mut rest = message.lines().next().unwrap_or_default();
    while let Some(shorter) = PREFIXES.iter().find_map(|prefix| rest.strip_prefix(prefix)) {
        rest = shorter;
    }
    let mut words = parse::lower_first(rest.trim_end_matches('.'));
    for (arrow_name, name) in TYPE_NAMES {
        words = words.replace(arrow_name, name);
    }
    words
}

fn cast_to(expression: Expr, data_type: DataType) -> Expr {
    Expr::Cast(Cast::new(Box::new(expression), data_type))
}

/// A column as expressions see it: UUIDs are text to them, and metadata, which
/// would travel into results, is left out.
pub(super) fn seen(field: &Field) -> Field {
    let data_type = field.data_type();
    let data_type = if is_uuid(data_type) { &DataType::Utf8 } else { data_type };
    Field::new(field.name(), data_type.clone(), true)
}

fn is_uuid(data_type: &DataType) -> bool {
    matches!(data_type, DataType::FixedSizeBinary(16))
}

/// The type of a column that holds such values without loss.
pub(super) fn loadable_type(found: &DataType) -> Option<DataType> {
    Some(match found {
        DataType::Null | DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::Int8 | DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Date32,
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
        DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(_, Some(_)) => {
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
        }
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale) => decimal(*precision, *scale)?,
        DataType::Dictionary(_, value) => loadable_type(value)?,
        DataType::Utf8
        | DataType::Binary
        | DataType::Boolean
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Date32 => found.clone(),
        _ => return None,
    })
}

/// PostgreSQL's numerics have no negative scale, and none greater than the precision.
fn decimal(precision: u8, scale: i8) -> Option<DataType> {
    let digits = u8::try_from(scale).ok()?;
    (digits <= precision).then_some(DataType::Decimal128(precision, scale))
}

/// PostgreSQL's word for a type, as far as there is one.
pub(super) fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => "text".to_owned(),
        DataType::Int16 => "smallint".to_owned(),
        DataType::Int32 => "integer".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Float32 => "real".to_owned(),
        DataType::Float64 => "double precision".to_owned(),
        DataType::Decimal128(precision, scale) => format!("numeric({precision},{scale})"),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Time64(_) => "time".to_owned(),
        DataType::Timestamp(_, None) => "timestamp".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamptz".to_owned(),
        DataType::Interval(_) | DataType::Duration(_) => "an interval".to_owned(),
        DataType::Binary => "bytea".to_owned(),
        DataType::List(_) => "a list".to_owned(),
        DataType::Struct(_) => "a record".to_owned(),
        other => format!("{other}"),
    }
}

/// Whether arithmetic on constants fails: simplifying would let it wrap around.
fn has_failing_constant(typed: &Expr) -> Result<bool, DataFusionError> {
    let mut has_failing = false;
    typed.apply(|part| {
        if matches!(part, Expr::BinaryExpr(_)) && is_constant_arithmetic(part) {
            has_failing = evaluate_constant(part).is_err();
        }
        Ok(if has_failing { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(has_failing)
}

/// A calculation of literals alone.
fn is_constant_arithmetic(part: &Expr) -> bool {
    match part {
        Expr::BinaryExpr(LogicalBinary { left, op, right }) if op.is_numerical_operators() => {
            [left, right].into_iter().all(|side| is_constant_arithmetic(side))
        }
        Expr::Literal(..) => true,
        Expr::Cast(cast) => is_constant_arithmetic(&cast.expr),
        Expr::Negative(inner) => is_constant_arithmetic(inner),
        _ => false,
    }
}

fn evaluate_constant(part: &Expr) -> Result<(), DataFusionError> {
    let nothing = DFSchema::empty();
    let plan = create_physical_expr(
        part,
        &nothing,
        &ExecutionProps::new(),
        &PhysicalPlanningContext::default(),
    )?;
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let schema = Arc::new(Schema::empty());
    let row = RecordBatch::try_new_with_options(schema, Vec::new(), &options)?;
    with_checked_overflow(plan)?.evaluate(&row)?;
    Ok(())
}

/// Integers that overflow fail, where DataFusion would let them wrap around.
fn with_checked_overflow(
    plan: Arc<dyn PhysicalExpr>,
) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
    let checked = plan.transform(|part| {
        Ok(match part.downcast_ref::<BinaryExpr>() {
            Some(binary) => {
                Transformed::yes(Arc::new(binary.clone().with_fail_on_overflow(true)) as _)
            }
            None => Transformed::no(part),
        })
    })?;
    Ok(checked.data)
}

fn column_indexes(plan: &Arc<dyn PhysicalExpr>) -> Result<Vec<usize>, DataFusionError> {
    let mut indexes = BTreeSet::new();
    plan.apply(|part| {
        if let Some(column) = part.downcast_ref::<Column>() {
            indexes.insert(column.index());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(indexes.into_iter().collect())
}
