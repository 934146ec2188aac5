/*
 * Which connections are meant.
 */

/** A session ID, or everything of a user. */
export type Selector = string | { readonly user: string | number }
