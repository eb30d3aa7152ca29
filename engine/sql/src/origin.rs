//! Where a column comes from: a flow table's rows, or an aggregate over them.

use datafusion::common::Column;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Whether the values of a column are those of single rows: through no aggregate and no window function.
pub(crate) fn is_of_rows(plan: &LogicalPlan, column: &Column) -> bool {
    match plan.schema().maybe_index_of_column(column) {
        Some(index) => is_of_rows_at(plan, index),
        // A column of an outer query.
        None => true,
    }
}

fn is_of_rows_at(plan: &LogicalPlan, index: usize) -> bool {
    let through = |expr: &Expr, input| expr.column_refs().into_iter().all(|column| is_of_rows(input, column));
    match plan {
        LogicalPlan::Projection(projection) => {
            projection.expr.get(index).is_none_or(|expr| through(expr, &projection.input))
        }
        LogicalPlan::Aggregate(aggregate) => {
            let groups: Vec<&Expr> = match aggregate.group_expr.as_slice() {
                [Expr::GroupingSet(sets)] => sets.distinct_expr(),
                groups => groups.iter().collect(),
            };
            groups.get(index).is_some_and(|expr| through(expr, &aggregate.input))
        }
        LogicalPlan::Window(window) => {
            index < window.input.schema().fields().len() && is_of_rows_at(&window.input, index)
        }
        LogicalPlan::SubqueryAlias(alias) => is_of_rows_at(&alias.input, index),
        LogicalPlan::Union(union) => union.inputs.iter().all(|input| is_of_rows_at(input, index)),
        LogicalPlan::TableScan(_) => true,
        other => {
            let (qualifier, field) = other.schema().qualified_field(index);
            let column = Column::from((qualifier, field));
            other.inputs().into_iter().all(|input| is_of_rows(input, &column))
        }
    }
}

/// Whether the rows are a table's rows, perhaps filtered, so that counting them is counting flows.
pub(crate) fn are_rows(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::TableScan(_) => true,
        LogicalPlan::Filter(filter) => are_rows(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => are_rows(&alias.input),
        LogicalPlan::Projection(projection) => are_rows(&projection.input),
        LogicalPlan::Sort(sort) => sort.fetch.is_none() && are_rows(&sort.input),
        LogicalPlan::Union(union) => union.inputs.iter().all(|input| are_rows(input)),
        LogicalPlan::Join(join) => are_rows(&join.left) && are_rows(&join.right),
        _ => false,
    }
}
