// The network: what it is doing, and the buttons that start, pause, resume and stop it.

import { post } from "./api.js";

const find = (id) => document.getElementById(id);

export class Training {
  constructor(report) {
    for (const [id, action] of [["train", "start"], ["pause", "pause"], ["resume", "resume"], ["stop", "stop"]]) {
      find(id).addEventListener("click", async () => {
        try {
          this.show((await post("api/rounds", { action })).rounds);
        } catch (error) {
          report(error.message, true);
        }
      });
    }
    this.report = report;
    this.phase = null;
  }

  show(rounds) {
    const running = ["preparing", "training", "suggesting"].includes(rounds.phase);
    find("phase").textContent = phrase(rounds);
    find("epochs").hidden = rounds.phase !== "training" && rounds.phase !== "paused";
    find("epochs").max = Math.max(1, rounds.epochs);
    find("epochs").value = rounds.epoch;
    find("train").hidden = running || rounds.phase === "paused";
    find("pause").hidden = rounds.phase !== "training";
    find("resume").hidden = rounds.phase !== "paused";
    find("stop").hidden = !running && rounds.phase !== "paused";
    const scores = rounds.scores.map((score) => score.toFixed(3)).join(", ");
    const note = rounds.message ? ` ${rounds.message}` : "";
    find("scores").textContent = (scores ? `Dice on held-out images, by round: ${scores}.` : "") + note;
    if (this.phase !== null && this.phase !== rounds.phase) this.report(phrase(rounds));
    this.phase = rounds.phase;
  }
}

function phrase(rounds) {
  const dice = rounds.dice === null ? "" : `, Dice ${rounds.dice.toFixed(3)}`;
  switch (rounds.phase) {
    case "preparing":
      return "Copying the finished images for the next round";
    case "training":
      return `Round ${rounds.round}: epoch ${rounds.epoch} of ${rounds.epochs}${dice}`;
    case "paused":
      return `Round ${rounds.round} is paused at epoch ${rounds.epoch} of ${rounds.epochs}${dice}`;
    case "suggesting":
      return `Round ${rounds.round}: predicting the other images`;
    case "failed":
      return `Round ${rounds.round} has failed; its log is ${rounds.log}`;
    default: {
      const done = rounds.complete ? `Round ${rounds.complete} is complete. ` : "";
      if (!rounds.automatic) return `${done}Train now starts a round on the finished images`;
      return rounds.next > 0 ? `${done}Next round after ${rounds.next} more finished images` : `${done}Ready to train`;
    }
  }
}
