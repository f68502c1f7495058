//! The functions and types that an expression may name.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow_schema::{DataType, FieldRef, TimeUnit};
use datafusion_common::config::ConfigOptions;
use datafusion_common::datatype::DataTypeExt as _;
use datafusion_common::{DataFusionError, TableReference};
use datafusion_expr::planner::{ContextProvider, ExprPlanner, TypePlanner};
use datafusion_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF};
use datafusion_functions::core::planner::CoreFunctionPlanner;
use datafusion_functions::datetime::planner::DatetimeFunctionPlanner;
use datafusion_functions::unicode::planner::UnicodeFunctionPlanner;
use datafusion_sql::planner::ParserOptions;
use datafusion_sql::sqlparser::ast::{self, TimezoneInfo};
use ferry::host::settings::nearest;

/// Functions of DataFusion that say nothing of a row, or that give another
/// value each time, so that a row read twice would not be the same.
const LEFT_OUT: [&str; 24] = [
    "arrow_cast",
    "arrow_field",
    "arrow_metadata",
    "arrow_try_cast",
    "arrow_typeof",
    "cast_to_type",
    "file_row_index",
    // Gives NULL before 1677 and after 2262.
    "date_bin",
    "get_field",
    // Takes minutes for two long texts.
    "levenshtein",
    "input_file_name",
    "named_struct",
    "random",
    "row",
    "struct",
    "try_cast_to_type",
    "union_extract",
    "union_tag",
    "uuid",
    "version",
    "with_metadata",
    "regexp_match",
    "string_to_array",
    "rand",
];

/// Functions that tell the time, which is an instant.
///
/// Others know a time zone too, but lose it when their argument is a column.
const CLOCKS: [&str; 3] = ["now", "current_date", "current_time"];

static FUNCTIONS: LazyLock<HashMap<String, Arc<ScalarUDF>>> = LazyLock::new(|| {
    let mut functions = HashMap::new();
    let options = options();
    for function in datafusion_functions::all_default_functions() {
        if LEFT_OUT.contains(&function.name()) {
            continue;
        }
        let configured = function.inner().with_updated_config(&options);
        let configured = configured.filter(|_| CLOCKS.contains(&function.name()));
        let function = configured.map_or(function, Arc::new);
        for alias in function.aliases() {
            functions.insert(alias.clone(), Arc::clone(&function));
        }
        functions.insert(function.name().to_owned(), function);
    }
    functions
});

fn options() -> ConfigOptions {
    let mut options = ConfigOptions::default();
    // So that now() is an instant, as in PostgreSQL.
    options.execution.time_zone = Some("UTC".to_owned());
    options
}

/// `1.5` is exact, and text is text.
pub(super) fn parser_options() -> ParserOptions {
    ParserOptions::new().with_parse_float_as_decimal(true).with_map_string_types_to_utf8view(false)
}

/// A function that is there.
pub(super) fn function(name: &str) -> Option<Arc<ScalarUDF>> {
    FUNCTIONS.get(name).cloned()
}

/// Why a function cannot be called, if it cannot.
pub(super) fn unknown_function(name: &str) -> Option<String> {
    if FUNCTIONS.contains_key(name) {
        return None;
    }
    let hint = match nearest(name, FUNCTIONS.keys().map(String::as_str)) {
        Some(near) => format!(": did you mean {near}?"),
        None => ": docs/expressions.md lists all there are".to_owned(),
    };
    Some(format!("there is no function {name}{hint}"))
}

/// What the planner asks for: functions by name, types by name; there are no tables.
pub(super) struct Catalogue {
    options: Arc<ConfigOptions>,
    planners: Vec<Arc<dyn ExprPlanner>>,
}

impl Catalogue {
    pub(super) fn new() -> Self {
        let planners: Vec<Arc<dyn ExprPlanner>> = vec![
            Arc::new(CoreFunctionPlanner::default()),
            Arc::new(DatetimeFunctionPlanner),
            Arc::new(UnicodeFunctionPlanner),
        ];
        Self { options: Arc::new(options()), planners }
    }

    pub(super) fn shared_options(&self) -> Arc<ConfigOptions> {
        Arc::clone(&self.options)
    }
}

impl ContextProvider for Catalogue {
    fn get_table_source(
        &self,
        name: TableReference,
    ) -> Result<Arc<dyn TableSource>, DataFusionError> {
        let problem = format!("an expression sees one row and no table such as {name}");
        Err(DataFusionError::Plan(problem))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.planners
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(PostgresTypes))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        FUNCTIONS.get(name).cloned()
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, _name: &str) -> Option<Arc<AggregateUDF>> {
        None
    }

    fn get_window_meta(&self, _name: &str) -> Option<Arc<WindowUDF>> {
        None
    }

    fn get_variable_type(&self, _variable_names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        FUNCTIONS.keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udwf_names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Types by PostgreSQL's names where DataFusion means something else by them:
/// its timestamps are nanoseconds and end in 2262.
#[derive(Debug)]
struct PostgresTypes;

impl TypePlanner for PostgresTypes {
    fn plan_type_field(
        &self,
        sql_type: &ast::DataType,
    ) -> Result<Option<FieldRef>, DataFusionError> {
        let data_type = match sql_type {
            ast::DataType::Timestamp(_, zone) => {
                let has_zone = matches!(zone, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz);
                let zone = has_zone.then(|| "UTC".into());
                DataType::Timestamp(TimeUnit::Microsecond, zone)
            }
            ast::DataType::Varchar(Some(_))
            | ast::DataType::CharVarying(Some(_))
            | ast::DataType::CharacterVarying(Some(_))
            | ast::DataType::Char(_)
            | ast::DataType::Character(_) => {
                let problem = "a cast does not cut texts off: use left(…, n) and text";
                return Err(DataFusionError::Plan(problem.to_owned()));
            }
            ast::DataType::Time(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
                DataType::Time64(TimeUnit::Microsecond)
            }
            _ => return Ok(None),
        };
        Ok(Some(data_type.into_nullable_field_ref()))
    }
}

#[cfg(test)]
pub(super) fn names() -> Vec<String> {
    let mut names: Vec<_> = FUNCTIONS.keys().cloned().collect();
    names.sort();
    names
}
