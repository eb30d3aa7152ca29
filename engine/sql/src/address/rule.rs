//! The analyzer's part of addresses: comparisons that no planner of operators sees (`BETWEEN`, `IN`, those of a
//! DataFrame), and casts between addresses and texts.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::{Cast, TryCast};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use super::compare::{between, comparison, form_of, in_list};
use super::function::{Kind, call};

#[derive(Debug)]
pub(crate) struct AddressRule;

impl AnalyzerRule for AddressRule {
    fn name(&self) -> &str {
        "flow_addresses"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(rewrite).map(|plan| plan.data)
    }
}

fn rewrite(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let mut schema = merge_schema(&plan.inputs());
    if let LogicalPlan::TableScan(scan) = &plan {
        schema.merge(&DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?);
    }
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let expr = expr.transform_up(|expr| {
            Ok(match rewrite_one(&expr, &schema)? {
                Some(expr) => Transformed::yes(expr),
                None => Transformed::no(expr),
            })
        })?;
        Ok(expr.update_data(|expr| name.restore(expr)))
    })?
    .map_data(LogicalPlan::recompute_schema)
}

fn rewrite_one(expr: &Expr, schema: &DFSchema) -> Result<Option<Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => comparison(left, *op, right, schema),
        Expr::Between(found) => between(found, schema),
        Expr::InList(list) => in_list(list, schema),
        Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field }) => {
            Ok(cast(expr, field.data_type(), schema))
        }
        _ => Ok(None),
    }
}

fn cast(expr: &Expr, to: &DataType, schema: &DFSchema) -> Option<Expr> {
    if to.is_string() && form_of(expr, schema).is_some() {
        return Some(call(Kind::Host, vec![expr.clone()]));
    }
    if *to == DataType::FixedSizeBinary(16) && expr.get_type(schema).is_ok_and(|from| from.is_string()) {
        return Some(call(Kind::Inet, vec![expr.clone()]));
    }
    None
}
