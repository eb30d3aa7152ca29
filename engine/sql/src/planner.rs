//! What the planner of SQL must be told before it knows types: operators of networks, comparisons of addresses with
//! texts, `f_count(*)`, and that `sum` over a counter is a DECIMAL.

use std::sync::Arc;

use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::planner::{
    ExprPlanner, PlannerResult, RawAggregateExpr, RawBinaryExpr, RawWindowExpr,
};
use datafusion::logical_expr::{AggregateUDF, Expr, Operator, WindowFunctionDefinition};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use crate::address::compare::{Containment, comparison, containment};
use crate::aggregate::percentile::{Percentile, check_rank};
use crate::aggregate::stand_in::StandIn;
use crate::aggregate::weighted::{Kind, Weighted};
use crate::counter::is_counter;

#[derive(Debug)]
pub(crate) struct FlowPlanner;

impl ExprPlanner for FlowPlanner {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let planned = match operator(&expr.op) {
            Some(Meaning::Containment(op)) => containment(&expr.left, op, &expr.right, schema)?,
            Some(Meaning::Comparison(op)) => comparison(&expr.left, op, &expr.right, schema)?,
            None => None,
        };
        Ok(match planned {
            Some(planned) => PlannerResult::Planned(planned),
            None => PlannerResult::Original(expr),
        })
    }

    fn plan_aggregate(&self, mut expr: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        if expr.distinct && expr.func.inner().is::<Weighted>() {
            return plan_err!("{} takes no DISTINCT", expr.func.name());
        }
        if let (true, Some(Expr::Literal(rank, _))) = (expr.func.inner().is::<Percentile>(), expr.args.get(1))
        {
            check_rank(rank)?;
        }
        if let Some(func) = plain_sum(&expr.func, &expr.args, expr.distinct) {
            expr.func = func;
        }
        if !is_star(&expr.func, &expr.args) {
            return Ok(PlannerResult::Original(expr));
        }
        let RawAggregateExpr { func, args: _, distinct, filter, order_by, null_treatment } = expr;
        let name = format!("{}(*)", func.name());
        let rows = AggregateFunction::new_udf(func, Vec::new(), distinct, filter, order_by, null_treatment);
        Ok(PlannerResult::Planned(Expr::AggregateFunction(rows).alias(name)))
    }

    fn plan_window(&self, mut expr: RawWindowExpr) -> Result<PlannerResult<RawWindowExpr>> {
        if let WindowFunctionDefinition::AggregateUDF(func) = &expr.func_def {
            if is_star(func, &expr.args) {
                expr.args.clear();
            }
            if let Some(func) = plain_sum(func, &expr.args, expr.distinct) {
                expr.func_def = WindowFunctionDefinition::AggregateUDF(func);
            }
        }
        Ok(PlannerResult::Original(expr))
    }
}

/// `sum` over a counter has one type, whether the analyzer normalises it or not.
fn plain_sum(func: &AggregateUDF, args: &[Expr], distinct: bool) -> Option<Arc<AggregateUDF>> {
    let is_plain = func.name() == "sum" && !distinct && matches!(args, [value] if is_counter(value));
    is_plain.then(|| Arc::new(Weighted::plain(Kind::Sum).into()))
}

/// `f_count(*)` and the like, which are the same without the star.
fn is_star(func: &AggregateUDF, args: &[Expr]) -> bool {
    let counts = match func.inner().downcast_ref::<Weighted>() {
        Some(weighted) => matches!(weighted.kind, Kind::Count | Kind::CountError),
        None => func.inner().downcast_ref::<StandIn>().is_some_and(StandIn::counts),
    };
    #[expect(deprecated, reason = "the planner still hands the star of a call over as this")]
    let is_wildcard = matches!(args, [Expr::Wildcard { .. }]);
    counts && is_wildcard
}

enum Meaning {
    Containment(Containment),
    Comparison(Operator),
}

fn operator(op: &BinaryOperator) -> Option<Meaning> {
    Some(match op {
        BinaryOperator::PGBitwiseShiftLeft => Meaning::Containment(Containment::Within),
        BinaryOperator::PGBitwiseShiftRight => Meaning::Containment(Containment::Contains),
        BinaryOperator::Custom(op) if op == "<<=" => Meaning::Containment(Containment::WithinOrEqual),
        BinaryOperator::Custom(op) if op == ">>=" => Meaning::Containment(Containment::ContainsOrEqual),
        BinaryOperator::PGOverlap => Meaning::Containment(Containment::Overlaps),
        BinaryOperator::Eq => Meaning::Comparison(Operator::Eq),
        BinaryOperator::NotEq => Meaning::Comparison(Operator::NotEq),
        BinaryOperator::Lt => Meaning::Comparison(Operator::Lt),
        BinaryOperator::LtEq => Meaning::Comparison(Operator::LtEq),
        BinaryOperator::Gt => Meaning::Comparison(Operator::Gt),
        BinaryOperator::GtEq => Meaning::Comparison(Operator::GtEq),
        _ => return None,
    })
}
