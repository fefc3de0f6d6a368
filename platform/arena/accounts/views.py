from django.contrib.auth import views

from arena.accounts.forms import LogInForm


class LogIn(views.LoginView):
    form_class = LogInForm
    template_name = "accounts/log_in.html"
    redirect_authenticated_user = True


class LogOut(views.LogoutView):
    http_method_names = ["post", "options"]
