//! Futures of one type for each type of outcome. A runtime's part in a task is compiled anew for each type of future, and for each
//! of its schedulers: more code than most tasks have. Where tasks are not many a second, an allocation for each is the better price.

use std::pin::Pin;

/// A future that a task can be made of.
pub type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Puts a future on the heap, and forgets its type.
pub fn boxed<T>(future: impl Future<Output = T> + Send + 'static) -> Boxed<T> {
    Box::pin(future)
}
