//! The public face of a store on SQL, which is the same for each database.

/// Makes `$store`, a tuple of one [`Sql`](super::Sql), a store: its setters and the four traits.
macro_rules! sql_store {
    ($store:ident) => {
        impl $store {
            /// The same store with another clock, by which listings judge what has expired.
            #[must_use]
            pub fn with_clock(mut self, clock: impl $crate::Clock) -> Self {
                self.0.clock = ::std::sync::Arc::new(clock);
                self
            }

            /// How long a lookup or listing may take, waiting for a connection included: by default
            /// 2 seconds, at most an hour. One that takes longer fails as
            /// [unavailable](super::StoreError::is_unavailable).
            #[must_use]
            pub fn with_read_timeout(mut self, timeout: ::std::time::Duration) -> Self {
                self.0.read = timeout.min(super::sql::LONGEST_CALL);
                self
            }

            /// How long a write may take: by default 5 seconds, at most an hour. One that takes longer fails as
            /// [unavailable](super::StoreError::is_unavailable); whether it was made is then not
            /// known, as with a connection that is cut at the last moment: read before repeating.
            #[must_use]
            pub fn with_write_timeout(mut self, timeout: ::std::time::Duration) -> Self {
                self.0.write = timeout.min(super::sql::LONGEST_CALL);
                self
            }
        }

        #[::async_trait::async_trait]
        impl super::KeyStore for $store {
            async fn find(
                &self,
                digest: &$crate::KeyDigest,
            ) -> Result<Option<::std::sync::Arc<$crate::KeyRecord>>, super::StoreError> {
                self.0.find(digest).await
            }
        }

        #[::async_trait::async_trait]
        impl super::TenantDirectory for $store {
            async fn tenant(
                &self,
                id: &$crate::TenantId,
            ) -> Result<Option<::std::sync::Arc<$crate::Tenant>>, super::StoreError> {
                self.0.tenant(id).await
            }
        }

        #[::async_trait::async_trait]
        impl super::KeyAdmin for $store {
            async fn get(
                &self,
                tenant: &$crate::TenantId,
                id: &$crate::KeyId,
            ) -> Result<Option<::std::sync::Arc<$crate::KeyRecord>>, super::StoreError> {
                self.0.get(tenant, id).await
            }

            async fn list(
                &self,
                tenant: &$crate::TenantId,
                filter: &super::KeyFilter,
            ) -> Result<super::KeyPage, super::StoreError> {
                self.0.list(tenant, filter).await
            }

            async fn commit(&self, commit: super::Commit) -> Result<(), super::StoreError> {
                self.0.commit(commit).await
            }

            async fn events(
                &self,
                tenant: &$crate::TenantId,
                offset: usize,
                limit: usize,
            ) -> Result<Vec<super::AuditEvent>, super::StoreError> {
                self.0.events(tenant, offset, limit).await
            }
        }

        #[::async_trait::async_trait]
        impl super::UsageStore for $store {
            async fn add_uses(&self, uses: &[super::Use]) -> Result<(), super::StoreError> {
                self.0.add_uses(uses).await
            }

            async fn usage(
                &self,
                key: &$crate::KeyId,
                month: super::Month,
            ) -> Result<super::Usage, super::StoreError> {
                self.0.usage(key, month).await
            }
        }

        impl ::std::fmt::Debug for $store {
            /// Where the store is stays out of it: a connection's text may hold a password.
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_struct(stringify!($store)).finish_non_exhaustive()
            }
        }
    };
}
pub(in crate::store) use sql_store;
