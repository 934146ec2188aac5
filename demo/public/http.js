// Requests to the demo's own server, with errors that can be shown.

/** A server that does not answer is as good as none: a page that waits forever says nothing. */
const timeoutMs = 20_000

let lastAnswerAt = -Infinity

/** How long ago the server has answered: every answer moves the expiry of the browser's cookie. */
export function sinceLastAnswer() {
  return performance.now() - lastAnswerAt
}

export async function call(method, path, body) {
  const response = await fetch(path, {
    method,
    signal: AbortSignal.timeout(timeoutMs),
    ...(body && { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }),
  })
  const answer = await response.json()
  if (!response.ok) throw new Error(answer.error)
  lastAnswerAt = performance.now()
  return answer
}
