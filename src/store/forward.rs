//! What every store's readers and writers have in common: the methods of [`StoreReader`](super::StoreReader), each of
//! which only calls the same method of something behind them.

/// Implements [`StoreReader`](crate::store::StoreReader) for a type by a macro that is called with each method and its
/// arguments, as `call!(self, head(ws))`. An arm of that macro for one method overrides it.
#[macro_export]
macro_rules! store_reader {
    ($type:ty, $call:ident) => {
        #[async_trait::async_trait]
        impl $crate::store::StoreReader for $type {
            async fn workspaces(
                &mut self,
                after: Option<&str>,
                limit: usize,
            ) -> Result<Vec<$crate::store::WorkspaceInfo>, $crate::store::StoreError> {
                $call!(self, workspaces(after, limit))
            }

            async fn workspace(
                &mut self,
                id: &str,
            ) -> Result<Option<$crate::store::WorkspaceInfo>, $crate::store::StoreError> {
                $call!(self, workspace(id))
            }

            async fn head(
                &mut self,
                ws: syncline_core::ids::WorkspaceNo,
            ) -> Result<Option<syncline_core::state::WorkspaceHead>, $crate::store::StoreError> {
                $call!(self, head(ws))
            }

            async fn rows(
                &mut self,
                ws: syncline_core::ids::WorkspaceNo,
                keys: &[syncline_core::state::Key],
            ) -> Result<Vec<Option<syncline_core::state::Row>>, $crate::store::StoreError> {
                $call!(self, rows(ws, keys))
            }

            async fn range(
                &mut self,
                ws: syncline_core::ids::WorkspaceNo,
                prefix: &syncline_core::state::Prefix,
                after: Option<&syncline_core::state::Key>,
                limit: usize,
                order: $crate::store::Order,
            ) -> Result<$crate::store::Page, $crate::store::StoreError> {
                $call!(self, range(ws, prefix, after, limit, order))
            }

            async fn count(
                &mut self,
                ws: syncline_core::ids::WorkspaceNo,
                prefix: &syncline_core::state::Prefix,
            ) -> Result<u64, $crate::store::StoreError> {
                $call!(self, count(ws, prefix))
            }

            async fn changes(
                &mut self,
                ws: syncline_core::ids::WorkspaceNo,
                from_exclusive: syncline_core::causality::Seq,
                to_inclusive: syncline_core::causality::Seq,
                limit: usize,
            ) -> Result<Vec<syncline_core::change::Change>, $crate::store::StoreError> {
                $call!(self, changes(ws, from_exclusive, to_inclusive, limit))
            }

            async fn change_of(
                &mut self,
                ws: syncline_core::ids::WorkspaceNo,
                replica_no: syncline_core::causality::ReplicaNo,
                counter: syncline_core::causality::Counter,
            ) -> Result<Option<syncline_core::change::Change>, $crate::store::StoreError> {
                $call!(self, change_of(ws, replica_no, counter))
            }
        }
    };
}
