from django.urls import path

from submissions import views

urlpatterns = [path("phases/<int:phase_id>/submit/", views.submit, name="submit")]
