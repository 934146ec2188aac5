// the same in Prometheus' text format.
// #region docs
import type { SessionBridgeStats } from 'ws-session-bridge'

/** For `response.type('text/plain; version=0.0.4').send(prometheusText(bridge.stats()))`. */
export function prometheusText(stats: SessionBridgeStats): string {
  return [
    ...metric('gauge', 'pending', 'Handshakes under way.', stats.pending),
    ...metric('gauge', 'sockets', 'Open connections.', stats.sockets),
    ...metric('gauge', 'sessions', 'Sessions that these belong to.', stats.sessions),
    ...metric('counter', 'accepted_total', 'Connections that were let in.', stats.accepted),
    ...metric('counter', 'refused_total', 'Requests that were not, by reason.', stats.refused),
    ...metric('counter', 'ended_total', 'Connections that ended, by reason.', stats.ended),
    ...metric('counter', 'faults_total', 'What went wrong outside a call.', stats.faults),
    '',
  ].join('\n')
}

function metric(type: string, name: string, help: string, value: number | Readonly<Record<string, number>>): string[] {
  const full = `ws_session_bridge_${name}`
  const samples =
    typeof value === 'number'
      ? [`${full} ${value}`]
      : Object.entries(value).map(([reason, count]) => `${full}{reason="${reason}"} ${count}`)
  return [`# HELP ${full} ${help}`, `# TYPE ${full} ${type}`, ...samples]
}
// #endregion
