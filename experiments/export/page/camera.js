"use strict";

/** Takes images with the camera. `take` gets each as a file; `fail` gets a message. */
function connectCamera(take, fail) {
  const [button, panel, video, shoot, close] = ["camera", "viewfinder", "video", "shoot", "close-camera"].map((id) =>
    document.getElementById(id),
  );
  let stream = null;
  let number = 0;

  const stop = () => {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    video.srcObject = null;
    panel.hidden = true;
    button.focus();
  };

  if (!navigator.mediaDevices?.getUserMedia) {
    button.hidden = true;
    return;
  }
  button.addEventListener("click", async () => {
    if (stream) return;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1920 }, height: { ideal: 1080 } } });
    } catch (error) {
      const reason = error.name === "NotAllowedError" ? "its use was not allowed" : error.message;
      fail(`The camera cannot be used: ${reason}.`);
      return;
    }
    video.srcObject = stream;
    panel.hidden = false;
    await video.play();
    shoot.focus();
  });
  shoot.addEventListener("click", () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext("2d").drawImage(video, 0, 0);
    canvas.toBlob((blob) => {
      number += 1;
      if (blob) take(new File([blob], `camera-${number}.png`, { type: "image/png" }));
    });
    stop();
  });
  close.addEventListener("click", stop);
  panel.addEventListener("keydown", (event) => event.key === "Escape" && stop());
}
