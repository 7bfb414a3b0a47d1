//! Who the customers are, on which plan, and how one is suspended.

use axum::Json;
use axum::extract::State;
use keygate::store::{Action, AuditEvent, Change, Commit, StoreError};
use keygate::{Principal, RejectionKind, Tenant, TenantId, TenantStatus};
use serde_json::{Value, json};

use crate::answer::{Refusal, success};
use crate::app::App;
use crate::fields::Fields;
use crate::store::Store;

/// Each tenant and its plan; `gate` knows what the plans allow.
const TENANTS: [(&str, &str); 3] =
    [("tenant_demo", "starter"), ("tenant_other", "professional"), ("tenant_large", "enterprise")];

/// Tells the store the tenants of this demonstration. One that it knows stays as it is: a restart
/// ends no suspension.
pub async fn sign_up(store: &dyn Store) -> Result<(), StoreError> {
    for (id, plan) in TENANTS {
        if store.tenant(&TenantId::from(id)).await?.is_none() {
            store.put_tenant(Tenant::new(id).with_plan(plan)).await?;
        }
    }
    Ok(())
}

/// The caller's tenant. The gate lets nobody in who has none, but a handler need not rely on that.
pub fn of(caller: &Principal) -> Result<&Tenant, Refusal> {
    caller.tenant().ok_or_else(|| Refusal::OfTheGate(RejectionKind::NotPermitted.into()))
}

/// `POST /admin/tenant`: suspends the caller's tenant, or ends that. Its keys follow in one step.
pub async fn suspend(
    State(app): State<App>,
    caller: Principal,
    mut fields: Fields,
) -> Result<Json<Value>, Refusal> {
    let suspended = fields.need("suspended", "true or false")?;
    fields.end()?;
    let status = if suspended { TenantStatus::Suspended } else { TenantStatus::Active };
    let tenant = of(&caller)?.clone().with_status(status);
    let data = json!({ "tenant": tenant.id(), "plan": tenant.plan(), "suspended": suspended });
    let (id, actor) = (tenant.id().clone(), caller.subject());
    let event = AuditEvent::new(app.now(), actor, Action::TenantChanged, id, None);
    app.store.commit(Commit::new(vec![Change::PutTenant(tenant)], vec![event])).await?;
    Ok(success(data))
}
