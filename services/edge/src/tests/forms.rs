//! What people send from a page while its region goes out.

use placement::State;

use super::{failing::form, *};

#[actix_web::test]
async fn a_form_of_a_region_that_was_just_drained_is_passed_on() {
    for (state, linger, status) in
        [(State::Drained, PATIENT, 303), (State::Drained, Duration::ZERO, 503), (State::Fenced, PATIENT, 503)]
    {
        let a = site("a", |edge: &mut EdgeConfig, _: &mut HttpServerConfig| edge.linger = linger);
        two(a, plain("b"), |a, b| async move {
            let mut world = described(&[("a", &a.url()), ("b", &b.url())]);
            world.desired.regions.get_mut(&region("a")).unwrap().state = state;
            a.believes(world);
            let answer = form(&a, "q=1").send().await.unwrap();
            assert_eq!(answer.status(), status, "{state:?}");
            let location = answer.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
            // Never to another site: there, browsers would say where the form came from.
            assert_eq!(location.as_deref(), (status == 303).then_some("/b?q=1"));
            assert_eq!((a.here.runs(), b.here.runs()), (0, usize::from(status == 303)));
        })
        .await;
    }
}
