//! What a request meets on its way in, and its answer on the way out.

use http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use http::{Extensions, HeaderMap, Request, Response};

use crate::authenticator::Authenticator;
use crate::body::GateBody;
use crate::limit::{Counted, Pending, Reservation};
use crate::outcome::{Admission, Answer, Identity, Nobody, Told};
use crate::render::{Deprecation, Refusals, Wire};
use crate::trace::Who;
use crate::{Head, Principal, Rejection, Timestamp};

#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(crate) authenticator: Authenticator,
    pub(crate) refusals: Refusals,
    /// Headers by which a client could pose as somebody to the service behind.
    pub(crate) stripped: Vec<HeaderName>,
}

/// Marks a CORS preflight that passed without a principal, for [`Require`](crate::Require) behind
/// the gate.
#[derive(Clone, Copy)]
pub(crate) struct OpenPreflight;

/// Where a request's road leads: in, or out again.
pub(crate) enum Passage {
    In,
    Out(Rejection),
    /// Not known yet: somebody else counts.
    Counting(Box<Counting>),
}

/// A request whose caller is proved, while it is counted elsewhere.
pub(crate) struct Counting {
    pub(crate) pending: Pending,
    principal: Principal,
    told: Told,
}

/// What has to be remembered of a request for its answer. It is filled in where it stands: to hand it
/// on while it has just been written takes longer than to write it.
pub(crate) struct Exit {
    told: Told,
    wire: Wire,
    who: Who,
}

impl Default for Exit {
    fn default() -> Self {
        Self { told: Told::default(), wire: Wire::Http, who: Who::nobody() }
    }
}

impl Gate {
    pub(crate) fn now(&self) -> Timestamp {
        self.authenticator.clock.now()
    }

    pub(crate) fn identify(&self, head: Head<'_>, now: Timestamp) -> Identity {
        self.authenticator.identify(head, now)
    }

    /// Judges the request, and puts into its extensions who is calling.
    ///
    /// The answer is taken apart where it was made: what is written in parts and read at once takes the
    /// processor a detour.
    #[inline(always)]
    pub(crate) fn decide<B>(
        &self,
        request: &mut Request<B>,
        answer: Answer,
        now: Timestamp,
        exit: &mut Exit,
    ) -> Passage {
        match answer {
            Answer::Caller(principal, in_authorization) => {
                exit.told.needs_privacy = !in_authorization;
                self.decide_for(request, principal, now, exit)
            }
            Answer::Nobody(nobody) => self.decide_for_nobody(request, nobody, now, exit),
        }
    }

    #[inline(never)]
    fn decide_for<B>(
        &self,
        request: &mut Request<B>,
        principal: Principal,
        now: Timestamp,
        exit: &mut Exit,
    ) -> Passage {
        let head = Head::from(&*request);
        match self.authenticator.admit(head, &principal, now, &mut exit.told) {
            Admission::In => self.let_in(request, principal, exit),
            Admission::Out(why) => turn_away(head, why, exit),
            Admission::Counting(pending) => wait_for(pending, principal, &mut exit.told),
        }
    }

    #[inline(never)]
    fn decide_for_nobody<B>(
        &self,
        request: &mut Request<B>,
        nobody: Nobody,
        now: Timestamp,
        exit: &mut Exit,
    ) -> Passage {
        let head = Head::from(&*request);
        match self.authenticator.admit_nobody(head, nobody, now) {
            Ok(_) => self.let_nobody_in(request, exit),
            Err(why) => turn_away(head, why, exit),
        }
    }

    /// Judges a request that was counted.
    pub(crate) fn conclude<B>(
        &self,
        request: &mut Request<B>,
        counting: Counting,
        counted: Counted,
        now: Timestamp,
        exit: &mut Exit,
    ) -> Passage {
        let Counting { principal, told, .. } = counting;
        exit.told = told;
        let head = Head::from(&*request);
        match self.authenticator.conclude(head, &principal, counted, now, &mut exit.told) {
            Admission::In => self.let_in(request, principal, exit),
            Admission::Out(why) => turn_away(head, why, exit),
            Admission::Counting(pending) => wait_for(pending, principal, &mut exit.told),
        }
    }

    fn let_in<B>(
        &self,
        request: &mut Request<B>,
        principal: Principal,
        exit: &mut Exit,
    ) -> Passage {
        self.note(Head::from(&*request), Some(&principal), exit);
        if !self.stripped.is_empty() {
            self.strip(request.headers_mut());
        }
        request.extensions_mut().insert(principal);
        if let Some(reservation) = exit.told.reservation.take() {
            hand_over(reservation, request.extensions_mut());
        }
        Passage::In
    }

    fn let_nobody_in<B>(&self, request: &mut Request<B>, exit: &mut Exit) -> Passage {
        let head = Head::from(&*request);
        self.note(head, None, exit);
        let is_open_preflight = self.authenticator.is_open_preflight(head);
        self.strip(request.headers_mut());
        // What an outer gate has proved or let pass is not what this one has.
        request.extensions_mut().remove::<Principal>();
        request.extensions_mut().remove::<OpenPreflight>();
        if is_open_preflight {
            request.extensions_mut().insert(OpenPreflight);
        }
        Passage::In
    }

    /// Remembers what the answer needs to know of the request.
    fn note(&self, head: Head<'_>, principal: Option<&Principal>, exit: &mut Exit) {
        exit.wire = Wire::of(head.method, head.headers);
        exit.who = self.authenticator.who(head, principal);
    }

    #[cold]
    fn strip(&self, headers: &mut HeaderMap) {
        self.stripped.iter().for_each(|name| drop(headers.remove(name)));
    }

    /// The answer to a request that was turned away. It is made when it is asked for: a response is
    /// large, and takes long to be handed on.
    #[inline(never)]
    pub(crate) fn refuse<B>(&self, why: Rejection, exit: &Exit) -> Response<GateBody<B>> {
        let (mut parts, ()) = Response::new(()).into_parts();
        let body = self.refusals.fill(&mut parts, why, &exit.told.standings, exit.wire);
        deprecate(exit.told.deprecation.as_deref(), &mut parts.headers);
        Response::from_parts(parts, GateBody::refusal(body))
    }

    /// Completes the inner service's answer, or gives its form to a refusal from inside.
    pub(crate) fn let_out<B>(
        &self,
        mut response: Response<B>,
        exit: &mut Exit,
    ) -> Response<GateBody<B>> {
        match Refusals::pending(response.extensions()).cloned() {
            Some(why) => self.refuse_late(response, why, exit),
            None => {
                self.complete(response.headers_mut(), exit);
                let permits = std::mem::take(&mut exit.told.permits);
                response.map(|body| GateBody::running(body, permits))
            }
        }
    }

    #[cold]
    fn refuse_late<B>(
        &self,
        response: Response<B>,
        why: Rejection,
        exit: &Exit,
    ) -> Response<GateBody<B>> {
        exit.who.was_refused(&why, &self.authenticator.sampling, self.now());
        let (mut parts, _) = response.into_parts();
        let body = self.refusals.rewrite(&mut parts, why, &exit.told.standings, exit.wire);
        deprecate(exit.told.deprecation.as_deref(), &mut parts.headers);
        Response::from_parts(parts, GateBody::refusal(body))
    }

    fn complete(&self, headers: &mut HeaderMap, exit: &Exit) {
        self.refusals.announce(&exit.told.standings, headers);
        deprecate(exit.told.deprecation.as_deref(), headers);
        if exit.told.needs_privacy && !headers.contains_key(CACHE_CONTROL) {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
        }
    }
}

#[cold]
fn turn_away(head: Head<'_>, why: Rejection, exit: &mut Exit) -> Passage {
    exit.wire = Wire::of(head.method, head.headers);
    Passage::Out(why)
}

#[inline(never)]
fn wait_for(pending: Pending, principal: Principal, told: &mut Told) -> Passage {
    let told = std::mem::take(told);
    Passage::Counting(Box::new(Counting { pending, principal, told }))
}

/// Gives the request what it is to settle, together with what an outer gate has reserved.
#[cold]
fn hand_over(reservation: Reservation, extensions: &mut Extensions) {
    let outer = extensions.remove();
    extensions.insert(reservation.within(outer));
}

/// Nothing for most: their keys have no successor.
fn deprecate(deprecation: Option<&Deprecation>, headers: &mut HeaderMap) {
    if let Some(deprecation) = deprecation {
        deprecation.apply(headers);
    }
}
