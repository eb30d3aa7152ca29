//! Parameters of prepared statements: their types, and how they become literals.
//!
//! A statement with its parameters in place is planned as if they had been written there, so that all that the engine does
//! with literals (addresses, times that choose slices) it does with parameters.

use crate::columns::TYPE_KEY;
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::ParamValues;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::scalar::ScalarValue;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{self, Value, visit_expressions, visit_expressions_mut};
use datafusion::sql::unparser::expr_to_sql;
use std::ops::ControlFlow;

/// How many parameters a statement has: the largest number behind a `$`.
pub fn count(statement: &Statement) -> usize {
    let Statement::Statement(statement) = statement else { return 0 };
    let mut most = 0;
    let _ = visit_expressions(&**statement, |expr| {
        most = most.max(number_of(expr).unwrap_or(0));
        ControlFlow::<()>::Continue(())
    });
    most
}

/// The statement with values in place of its parameters.
pub fn bind(statement: &Statement, values: &ParamValues) -> Result<Statement, DataFusionError> {
    let ParamValues::List(values) = values else {
        return Err(DataFusionError::NotImplemented("parameters by name".to_owned()));
    };
    let literals: Result<Vec<ast::Expr>, _> = values.iter().map(|value| literal(&value.value)).collect();
    Ok(replace(statement, &literals?))
}

/// The statement with nulls in place of its parameters, to see what its columns are.
pub fn blank(statement: &Statement) -> Statement {
    replace(statement, &vec![ast::Expr::value(Value::Null); count(statement)])
}

fn replace(statement: &Statement, literals: &[ast::Expr]) -> Statement {
    let mut statement = statement.clone();
    if let Statement::Statement(statement) = &mut statement {
        let _ = visit_expressions_mut(&mut **statement, |expr| {
            if let Some(number) = number_of(expr)
                && let Some(literal) = number.checked_sub(1).and_then(|index| literals.get(index))
            {
                *expr = literal.clone();
            }
            ControlFlow::<()>::Continue(())
        });
    }
    statement
}

/// `$3` is 3.
fn number_of(expr: &ast::Expr) -> Option<usize> {
    let ast::Expr::Value(value) = expr else { return None };
    let Value::Placeholder(name) = &value.value else { return None };
    name.strip_prefix('$')?.parse().ok()
}

fn literal(value: &ScalarValue) -> Result<ast::Expr, DataFusionError> {
    match value {
        // Numbers as they are, without a cast around them.
        ScalarValue::Int16(Some(number)) => Ok(numeral(&number.to_string())),
        ScalarValue::Int32(Some(number)) => Ok(numeral(&number.to_string())),
        ScalarValue::Int64(Some(number)) => Ok(numeral(&number.to_string())),
        ScalarValue::Utf8(Some(text))
        | ScalarValue::Utf8View(Some(text))
        | ScalarValue::LargeUtf8(Some(text)) => Ok(ast::Expr::value(Value::SingleQuotedString(text.clone()))),
        value if value.is_null() => Ok(ast::Expr::value(Value::Null)),
        value => expr_to_sql(&Expr::Literal(value.clone(), None)),
    }
}

fn numeral(text: &str) -> ast::Expr {
    match text.strip_prefix('-') {
        None => ast::Expr::value(Value::Number(text.to_owned(), false)),
        Some(digits) => ast::Expr::Nested(Box::new(ast::Expr::UnaryOp {
            op: ast::UnaryOperator::Minus,
            expr: Box::new(ast::Expr::value(Value::Number(digits.to_owned(), false))),
        })),
    }
}

/// The types of the parameters as far as the plan tells, in their order. Addresses are text.
pub fn types(plan: &LogicalPlan, count: usize) -> Vec<Option<DataType>> {
    let fields = plan.get_parameter_fields().unwrap_or_default();
    let limits = limits(plan);
    let of = |number: usize| {
        let name = format!("${number}");
        let known = fields.get(&name).cloned().flatten().map(|field| type_of(&field));
        known.or_else(|| limits.contains(&name).then_some(DataType::Int64))
    };
    (1..=count).map(of).collect()
}

/// Parameters that say how many rows there shall be.
fn limits(plan: &LogicalPlan) -> Vec<String> {
    let mut names = Vec::new();
    let visited = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Limit(limit) = node {
            for expression in [&limit.skip, &limit.fetch].into_iter().flatten() {
                if let Expr::Placeholder(placeholder) = &**expression {
                    names.push(placeholder.id.clone());
                }
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    visited.map_or_else(|_| Vec::new(), |_| names)
}

fn type_of(field: &Field) -> DataType {
    match field.data_type() {
        DataType::FixedSizeBinary(16) | DataType::Utf8View => DataType::Utf8,
        _ if field.metadata().contains_key(TYPE_KEY) => DataType::Utf8,
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::parser::DFParser;

    fn bound(sql: &str, values: Vec<ScalarValue>) -> String {
        let statement = DFParser::parse_sql(sql).unwrap().pop_front().unwrap();
        bind(&statement, &ParamValues::from(values)).unwrap().to_string()
    }

    #[test]
    fn values_stand_where_their_parameters_were() {
        let sql = "SELECT a FROM t WHERE b = $2 AND c > $1 AND d IN (SELECT e FROM u WHERE f = $1) LIMIT $3";
        let values =
            vec![ScalarValue::Int32(Some(-5)), ScalarValue::from("it's"), ScalarValue::Int64(Some(7))];
        assert_eq!(
            bound(sql, values),
            "SELECT a FROM t WHERE b = 'it''s' AND c > (-5) AND d IN (SELECT e FROM u WHERE f = (-5)) LIMIT 7"
        );
    }

    #[test]
    fn what_is_missing_stays_and_null_is_null() {
        assert_eq!(bound("SELECT $1, $2", vec![ScalarValue::Utf8(None)]), "SELECT NULL, $2");
        let statement = DFParser::parse_sql("SELECT $1, $12").unwrap().pop_front().unwrap();
        assert_eq!(count(&statement), 12);
        assert_eq!(blank(&statement).to_string(), "SELECT NULL, NULL");
    }
}
