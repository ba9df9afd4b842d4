// Names for clang's thread safety attributes: which lock guards a field, which lock or role a function needs. Clang
// checks them while it compiles (-Wthread-safety, an error in the `clang` preset); other compilers see nothing.
// https://clang.llvm.org/docs/ThreadSafetyAnalysis.html explains each.
//
// What the analysis does not see: constructors and destructors, and lambdas as a part of the function around them. A
// lambda is a function of its own, so it takes the lock itself, or says TUTTI_REQUIRES behind its parameters.
#pragma once

#if defined(__clang__)
#define TUTTI_THREAD_ANNOTATION(attribute) __attribute__((attribute))
#else
#define TUTTI_THREAD_ANNOTATION(attribute)
#endif

/// On a class: its objects are locks or roles, which `kind` calls by name in messages.
#define TUTTI_CAPABILITY(kind) TUTTI_THREAD_ANNOTATION(capability(kind))
/// On a class that takes a lock in its constructor and lets it go in its destructor.
#define TUTTI_SCOPED_CAPABILITY TUTTI_THREAD_ANNOTATION(scoped_lockable)
/// On a field: it may only be used where the lock or role is held.
#define TUTTI_GUARDED_BY(lock) TUTTI_THREAD_ANNOTATION(guarded_by(lock))
/// On a function: its caller holds these.
#define TUTTI_REQUIRES(...) TUTTI_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
/// On a function that takes these, or lets them go. Without arguments: the object itself.
#define TUTTI_ACQUIRE(...) TUTTI_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define TUTTI_RELEASE(...) TUTTI_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
/// On a function: its caller does not hold these, since it takes them itself.
#define TUTTI_EXCLUDES(...) TUTTI_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
/// On a function that finds out, or knows, that they are held.
#define TUTTI_ASSERT_CAPABILITY(lock) TUTTI_THREAD_ANNOTATION(assert_capability(lock))
