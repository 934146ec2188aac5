// a Fastify plugin, with a route of @fastify/websocket whose sockets belong to sessions.
// #region docs
import type { FastifyPluginAsync } from 'fastify'
import type { SessionBridge, SessionContext } from 'ws-session-bridge'

declare module 'fastify' {
  interface FastifyRequest {
    sessionContext: SessionContext | null
  }
}

/** `await fastify.register(websocket)`, then `await fastify.register(chat, { bridge })`. */
export const chat: FastifyPluginAsync<{ bridge: SessionBridge }> = async (fastify, { bridge }) => {
  fastify.decorateRequest('sessionContext', null)
  fastify.addHook('preValidation', async (request, reply) => {
    const verdict = await bridge.authenticate(request.raw)
    if (!verdict.accepted) return reply.code(verdict.refusal.status).send()
    request.sessionContext = verdict.context ?? null
  })

  fastify.get('/chat', { websocket: true }, (ws, { sessionContext: context }) => {
    if (!context) return ws.close()
    bridge.bind(context, ws) // before anything is awaited
    ws.on('message', () => ws.send(`You are ${context.session.user ?? ''}`))
  })
}
// #endregion
