//! Decides what goes into the columns of each table, and the statement that makes a missing one.

use ferry::schema::{Column, ColumnType, arrow_schema};

use super::names::{Final, Origin, find};
use super::sources::HEX_DIGITS;
use super::{ColumnError, TargetColumnPlan, TargetPlan, modes, type_of};
use crate::expression::Expression;
use crate::job::{Job, Mode, Target};
use crate::load::catalogue::{Store, TargetColumn, TargetTable};
use crate::load::ddl;
use crate::names::TableName;
use crate::transform::{Input, Output, Value};

/// The columns that one target takes.
pub(super) struct Choice<'a> {
    /// Name of the table, as the catalogue has it if it exists.
    table: TableName,
    /// What the job says of it.
    target: &'a Target,
    /// What the catalogue says of it; `None` if the table is to be made.
    found: Option<&'a TargetTable>,
    /// In the order of the job or of the source.
    pub(super) columns: Vec<Chosen<'a>>,
}

/// A column that a target takes.
pub(super) struct Chosen<'a> {
    /// What goes into it.
    pub(super) column: &'a Final,
    /// What the catalogue says of it; `None` if the table is to be made.
    pub(super) table_column: Option<&'a TargetColumn>,
}

/// Finds for each target the columns that it takes.
pub(super) fn choose<'a>(
    job: &'a Job,
    finals: &'a [Final],
    tables: &'a [Option<TargetTable>],
) -> Result<Vec<Choice<'a>>, ColumnError> {
    let mut choices = Vec::with_capacity(job.targets.len());
    for (target, table) in job.targets.iter().zip(tables) {
        let mut columns = Vec::new();
        if target.columns.is_empty() {
            columns.extend(finals);
        }
        for name in &target.columns {
            let setting = format!("target.columns of {}", target.table);
            columns.push(&finals[find(finals, &setting, name)?]);
        }
        let table_name = table.as_ref().map_or(&target.table, |table| &table.name);
        if columns.is_empty() {
            return Err(ColumnError::NoColumns(table_name.to_string()));
        }
        let chosen = columns.into_iter().map(|column| match table {
            Some(table) => Chosen::in_table(column, table),
            None => Ok(Chosen { column, table_column: None }),
        });
        let columns = chosen.collect::<Result<Vec<_>, _>>()?;
        if let Some(table) = table {
            refuse_missing_required(table, &columns)?;
        }
        let (table, found) = (table_name.clone(), table.as_ref());
        choices.push(Choice { table, target, found, columns });
    }
    Ok(choices)
}

impl<'a> Chosen<'a> {
    fn in_table(column: &'a Final, table: &'a TargetTable) -> Result<Self, ColumnError> {
        let found = table.columns.iter().find(|found| found.name == column.name);
        let found = found.ok_or_else(|| ColumnError::NotInTable {
            table: table.name.to_string(),
            column: column.name.clone(),
        })?;
        if found.is_generated {
            let hint = "PostgreSQL generates it: leave it out (source.columns, transform.drop or target.columns)";
            return Err(mismatch(&table.name, found, hint));
        }
        if found.column_type.is_none() {
            let hint = "no value can be loaded into this type: leave it out (source.columns, transform.drop or target.columns)";
            return Err(mismatch(&table.name, found, hint));
        }
        Ok(Self { column, table_column: Some(found) })
    }
}

pub(super) fn mismatch(table: &TableName, column: &TargetColumn, hint: &str) -> ColumnError {
    ColumnError::TypeMismatch {
        table: table.to_string(),
        column: column.name.clone(),
        found: column.type_name.clone(),
        hint: hint.to_owned(),
    }
}

fn refuse_missing_required(table: &TargetTable, chosen: &[Chosen<'_>]) -> Result<(), ColumnError> {
    let is_missing = |name: &str| !chosen.iter().any(|chosen| chosen.column.name == name);
    match table.columns.iter().find(|column| column.is_required && is_missing(&column.name)) {
        None => Ok(()),
        Some(column) => Err(ColumnError::RequiredByTable {
            table: table.name.to_string(),
            column: column.name.clone(),
        }),
    }
}

/// Plans every table; `visible` and `inputs` are the columns that the transform stage sees.
pub(super) fn plan(
    choices: &[Choice<'_>],
    visible: &[Column],
    inputs: &[Input],
) -> Result<(Vec<Output>, Vec<TargetPlan>), ColumnError> {
    let mut outputs = Outputs { visible, inputs, made: Vec::new() };
    let mut targets = Vec::with_capacity(choices.len());
    for choice in choices {
        let mut columns = Vec::with_capacity(choice.columns.len());
        for chosen in &choice.columns {
            columns.push(outputs.take(choice, chosen)?);
        }
        let Target { mode, key, .. } = choice.target;
        let ddl = choice.found.is_none().then(|| ddl_of(choice, &columns));
        let (table, mode, key) = (choice.table.clone(), mode.clone(), key.clone());
        let plan = TargetPlan { table, ddl, columns, mode, key };
        modes::check(choice.target, &plan, choice.found)?;
        targets.push(plan);
    }
    Ok((outputs.made, targets))
}

fn ddl_of(choice: &Choice<'_>, columns: &[TargetColumnPlan]) -> String {
    let with_type =
        |plan: &TargetColumnPlan| (plan.column.name.clone(), plan.column.column_type.to_string());
    let columns: Vec<_> = columns.iter().map(with_type).collect();
    ddl::create_table(&choice.table, &columns, primary_key(choice.target))
}

/// The primary key of a table that is made. Rows that are only added may repeat a key.
fn primary_key(target: &Target) -> &[String] {
    if target.mode == Mode::Append { &[] } else { &target.key }
}

/// The loadable columns, each of them once, however many tables take it.
struct Outputs<'a> {
    visible: &'a [Column],
    inputs: &'a [Input],
    made: Vec<Output>,
}

impl Outputs<'_> {
    fn take(
        &mut self,
        choice: &Choice<'_>,
        chosen: &Chosen<'_>,
    ) -> Result<TargetColumnPlan, ColumnError> {
        let (value, own_type) = self.value(chosen.column)?;
        let in_table = chosen.table_column.and_then(|column| column.column_type);
        let column =
            Column { name: chosen.column.name.clone(), column_type: in_table.unwrap_or(own_type) };
        let is_pseudonym = self.is_pseudonym(&value);
        refuse_unfit_pseudonym(choice, chosen, &value, is_pseudonym)?;
        let is_required = is_required(choice, chosen);
        let store = match chosen.table_column {
            Some(found) => found.store.clone(),
            None => Store::of(column.column_type),
        };
        let made = self.made.iter().position(|made| made.is_same(&column));
        let output = if let Some(index) = made {
            index
        } else {
            let made = Output::new(column.clone(), value, false);
            self.made.push(made.ok_or_else(|| cannot_become(choice, chosen, own_type))?);
            self.made.len() - 1
        };
        if is_required {
            self.made[output].require();
        }
        let origin = chosen.column.origin.words();
        let type_name = chosen.table_column.map(|column| column.type_name.clone());
        Ok(TargetColumnPlan { column, type_name, output, origin, is_required, store })
    }

    fn is_pseudonym(&self, value: &Value) -> bool {
        match value {
            Value::Column(index, _) => self.inputs[*index].is_pseudonym,
            Value::Expression(_) => false,
        }
    }

    /// Where values come from, and the type that they have there.
    fn value(&self, column: &Final) -> Result<(Value, ColumnType), ColumnError> {
        if let Origin::Set(setting, text) = &column.origin {
            let expression = Expression::compile(setting, text, &arrow_schema(self.visible))?;
            let column_type = type_of(setting, &expression)?;
            return Ok((Value::Expression(expression), column_type));
        }
        let name = column.origin.visible_name().unwrap_or_default();
        let index = self.visible.iter().position(|visible| visible.name == name);
        let index = index.ok_or(ColumnError::NotLoaded(name))?;
        let visible = self.visible[index].clone();
        let column_type = visible.column_type;
        Ok((Value::Column(index, visible), column_type))
    }
}

/// Whether a row with NULL there is refused: by the table, or because an upsert
/// would insert it anew each time.
fn is_required(choice: &Choice<'_>, chosen: &Chosen<'_>) -> bool {
    let is_key = choice.target.key.contains(&chosen.column.name);
    let is_upsert = matches!(choice.target.mode, Mode::Upsert { .. });
    match chosen.table_column {
        Some(found) => found.is_not_null || (is_key && is_upsert),
        None => primary_key(choice.target).contains(&chosen.column.name),
    }
}

/// A pseudonym of one form does not become the other: digits would be parsed as
/// bytes, bytes written as text.
fn refuse_unfit_pseudonym(
    choice: &Choice<'_>,
    chosen: &Chosen<'_>,
    value: &Value,
    is_pseudonym: bool,
) -> Result<(), ColumnError> {
    let (Value::Column(_, from), Some(column)) = (value, chosen.table_column) else {
        return Ok(());
    };
    let hint = match (from.column_type, column.column_type) {
        (ColumnType::Bytea, Some(to)) if to != ColumnType::Bytea => {
            "bytes such as a pseudonym need bytea; for text of 64 characters, set form = \"hex\""
        }
        (ColumnType::Text, Some(to)) if is_pseudonym && !holds_digits(to, &column.store) => {
            "a pseudonym in hexadecimal digits needs text of 64 characters; for bytea, set form = \"bytea\""
        }
        _ => return Ok(()),
    };
    Err(mismatch(&choice.table, column, hint))
}

/// What PostgreSQL reads from text, such as an enum, is no text.
fn holds_digits(column_type: ColumnType, store: &Store) -> bool {
    let is_wide = matches!(column_type, ColumnType::Text | ColumnType::Varchar(HEX_DIGITS..));
    is_wide && store.cast.is_none()
}

fn cannot_become(choice: &Choice<'_>, chosen: &Chosen<'_>, own_type: ColumnType) -> ColumnError {
    let hint = format!(
        "a value of type {own_type} cannot become that: cast it in transform.set, or give the column another type"
    );
    match chosen.table_column {
        Some(column) => mismatch(&choice.table, column, &hint),
        None => ColumnError::NoColumnType(chosen.column.origin.words()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{CachePolicy, ServePolicy};

    fn target(mode: Mode) -> Target {
        Target {
            table: "public.users".parse().expect("a table name"),
            create: true,
            mode,
            key: vec!["uid".to_owned()],
            columns: Vec::new(),
            cache: CachePolicy::default(),
            serve: ServePolicy::default(),
        }
    }

    fn choice(target: &Target) -> Choice<'_> {
        Choice { table: target.table.clone(), target, found: None, columns: Vec::new() }
    }

    fn finals() -> [Final; 2] {
        ["uid", "email"]
            .map(|name| Final { name: name.to_owned(), origin: Origin::Source(name.to_owned()) })
    }

    /// Why a pseudonym that is written as `from` does not go into the column.
    fn refusal(from: ColumnType, found: &TargetColumn) -> Option<String> {
        let target = target(Mode::Append);
        let [_, email] = finals();
        let chosen = Chosen { column: &email, table_column: Some(found) };
        let value = Value::Column(0, Column { name: "email".to_owned(), column_type: from });
        let refused = refuse_unfit_pseudonym(&choice(&target), &chosen, &value, true);
        refused.err().map(|error| error.to_string())
    }

    #[test]
    fn digits_of_a_pseudonym_need_text() {
        for fit in ["text", "varchar(64)"] {
            assert_eq!(refusal(ColumnType::Text, &TargetColumn::sample("email", fit)), None);
        }
        let unfit = [
            TargetColumn::sample("email", "varchar(63)"),
            TargetColumn::sample("email", "bytea"),
            TargetColumn::sample_cast("email", "public.mood"),
        ];
        for column in unfit {
            let error = refusal(ColumnType::Text, &column).unwrap_or_default();
            let expected = format!("column \"email\" of public.users is {}: ", column.type_name);
            assert!(error.starts_with(&expected), "{error}");
        }
    }

    #[test]
    fn bytes_of_a_pseudonym_need_bytea() {
        assert_eq!(refusal(ColumnType::Bytea, &TargetColumn::sample("email", "bytea")), None);
        let unfit = [
            TargetColumn::sample("email", "text"),
            TargetColumn::sample_cast("email", "pg_catalog.text[]"),
        ];
        for column in unfit {
            let error = refusal(ColumnType::Bytea, &column).unwrap_or_default();
            assert!(error.contains("need bytea"), "{error}");
        }
    }

    #[test]
    fn the_key_of_an_upsert_is_there() {
        let upsert = Mode::Upsert { update: Vec::new(), only_if_newer: None };
        let [uid, email] = finals();
        let required = |mode: &Mode, found: Option<&TargetColumn>| {
            let target = target(mode.clone());
            [&uid, &email].map(|column| {
                is_required(&choice(&target), &Chosen { column, table_column: found })
            })
        };
        let nullable = TargetColumn::sample("any", "text");
        assert_eq!(required(&upsert, Some(&nullable)), [true, false]);
        assert_eq!(required(&Mode::InsertNew, Some(&nullable)), [false, false]);
        let not_null = TargetColumn { is_not_null: true, ..nullable };
        assert_eq!(required(&Mode::Append, Some(&not_null)), [true, true]);
        // The key of a table that is made is its primary key.
        assert_eq!(required(&upsert, None), [true, false]);
        assert_eq!(required(&Mode::InsertNew, None), [true, false]);
        assert_eq!(required(&Mode::Append, None), [false, false]);
    }
}
