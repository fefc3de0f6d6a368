/* Big pictures in a lightbox. Without this a link opens the picture itself. */
"use strict";

/** Open the pictures of a gallery in a lightbox, described and captioned by their alternative texts. */
function lightUp(gallery) {
  if (gallery.dataset.lit) return;
  gallery.dataset.lit = "yes";
  const texts = gallery.dataset;
  const lightbox = new PhotoSwipeLightbox({
    gallery,
    children: "a.picture",
    pswpModule: PhotoSwipe,
    bgOpacity: 0.92,
    // Pictures are small: let them fill the window.
    initialZoomLevel: (zoom) => Math.min(zoom.panAreaSize.x / zoom.elementSize.x, zoom.panAreaSize.y / zoom.elementSize.y),
    secondaryZoomLevel: (zoom) => zoom.initial * 2,
    maxZoomLevel: (zoom) => zoom.initial * 4,
    paddingFn: () => ({ top: 56, bottom: 56, left: 8, right: 8 }),
    closeTitle: texts.textClose,
    zoomTitle: texts.textZoom,
    arrowPrevTitle: texts.textPrevious,
    arrowNextTitle: texts.textNext,
    errorMsg: texts.textError,
    showHideAnimationType: matchMedia("(prefers-reduced-motion: reduce)").matches ? "none" : "zoom",
  });
  lightbox.on("uiRegister", () => {
    lightbox.pswp.ui.registerElement({
      name: "caption",
      order: 9,
      isButton: false,
      appendTo: "root",
      onInit: (element, pswp) => {
        pswp.on("change", () => {
          element.textContent = pswp.currSlide.data.alt;
        });
      },
    });
  });
  lightbox.init();
}

function lightUpAll() {
  document.querySelectorAll("[data-gallery]").forEach(lightUp);
}

lightUpAll();
// A submission that ends while somebody watches brings its gallery along.
document.body.addEventListener("htmx:afterSettle", lightUpAll);
