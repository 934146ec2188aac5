/*
 * When a process of the demo should end: at Ctrl+C, at SIGTERM, and when npm has gone that started it.
 */

const lookAtParentMs = 500

export function onShutdown(end: () => void): void {
  // Once: a second Ctrl+C ends the process at once.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, end)
  if (process.env.npm_lifecycle_event === undefined) return
  // npm hands a SIGTERM to its shell, which dies of it and tells no process.
  const { ppid } = process
  const timer = setInterval(() => {
    if (process.ppid === ppid) return
    clearInterval(timer)
    end()
  }, lookAtParentMs).unref()
}
