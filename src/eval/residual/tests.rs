use super::*;

fn leaf(value: &str) -> Residual {
    Residual::Test(Leaf {
        name: "shop:region".parse().unwrap(),
        operator: Operator::Equal,
        operand: Operand::Texts(vec![value.to_owned()]),
        several: Several::Fails,
    })
}

#[test]
fn constants_do_not_stay_inside() {
    let (a, b) = (leaf("a"), leaf("b"));
    assert_eq!(Residual::all([Residual::Always, a.clone()]), a);
    assert_eq!(Residual::all([Residual::Never, a.clone()]), Residual::Never);
    assert_eq!(Residual::any([Residual::Never, a.clone()]), a);
    assert_eq!(Residual::any([a.clone(), Residual::Always]), Residual::Always);
    assert_eq!(Residual::all([]), Residual::Always);
    assert_eq!(Residual::any([]), Residual::Never);
    assert_eq!(Residual::not(Residual::Always), Residual::Never);
    assert_eq!(Residual::not(Residual::not(b.clone())), b);
}

#[test]
fn lists_are_flat_and_hold_nothing_twice() {
    let (a, b, c) = (leaf("a"), leaf("b"), leaf("c"));
    let inner = Residual::all([b.clone(), a.clone()]);
    assert_eq!(Residual::all([c.clone(), inner.clone(), a.clone()]), Residual::All(vec![a.clone(), b.clone(), c]));
    assert_eq!(Residual::any([inner.clone(), inner.clone()]), inner);
    assert_eq!(Residual::any([a.clone(), a.clone()]), a);
}

#[test]
fn a_list_over_one_leaf_twice_as_large_costs_more() {
    assert!(leaf("aaaa").bytes() > leaf("a").bytes());
    assert!(Residual::any([leaf("a"), leaf("b")]).bytes() > 2 * leaf("a").bytes());
}
