/**
 * @import * as Api from "./hewston-bff.js"
 * @import * as Messages from "./messages.js"
 */

/**
 * Where a subscription stands, as far as messages have told: what each of them changes. Pure.
 *
 * @param {Api.SubscribeOptions} options
 * @returns {Api.State} before anything came
 */
export function initialState({ speed, mode }) {
  return {
    status: "connecting",
    seq: -1,
    ts: null,
    epoch: null,
    speed: speed ?? 60,
    mode: mode ?? "merge",
    liveEdge: null,
    complete: false,
    recovered: null,
  };
}

/**
 * What the answer to `subscribe` changes.
 * @param {Api.State} state
 * @param {Messages.Subscribed} message
 * @returns {Partial<Api.State>}
 */
export function changesOfSubscribed(state, { status, speed, complete, recovered, epoch, last, seq }) {
  // The time of another frame than the last one is not known.
  const place = seq === state.seq ? { seq } : { seq, ts: null };
  return {
    status,
    speed,
    complete,
    recovered,
    epoch: epoch ?? state.epoch,
    liveEdge: last ?? state.liveEdge,
    // Without a log yet, what was delivered still stands: a `state` tells more.
    ...(epoch === null ? {} : place),
  };
}

/** Whether a cold log has come to be, or a seek has led somewhere: frames are due from here on. @param {Messages.State} message */
export const isPlaced = ({ seeked, epoch }) => seeked || epoch !== undefined;

/**
 * What a `state` changes.
 * @param {Messages.State} message
 * @returns {Partial<Api.State>}
 */
export function changesOfState(message) {
  const { status, speed, live_edge: liveEdge, seq, ts, epoch, complete, recovered } = message;
  return {
    status,
    speed,
    liveEdge,
    ...(isPlaced(message) ? { seq, ts } : {}),
    ...(epoch === undefined ? {} : { epoch }),
    ...(complete === undefined ? {} : { complete }),
    ...(recovered === undefined ? {} : { recovered }),
  };
}
