"""Accounts in the admin: for administrators alone, whatever rights a group may have."""

from typing import Any, cast

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from arena.accounts import services
from arena.accounts.models import ApiToken, User

# What these hold is somebody's own: addresses, secrets of second factors, keys of sessions.
for _model in (EmailAddress, Authenticator, UserSession, Group):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)


class ForAdministrators:
    """Show a page of the admin to administrators only."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return _is_administrator(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return _is_administrator(request)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return _is_administrator(request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return _is_administrator(request)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return _is_administrator(request)


class AddressInline(ForAdministrators, admin.TabularInline[EmailAddress, User]):
    """Show the addresses of an account; the primary one is changed above, the rest by its owner."""

    model = EmailAddress
    fields = readonly_fields = ("email", "verified", "primary")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class FreeAddress:
    """Refuse an address that another account has confirmed."""

    instance: User
    cleaned_data: dict[str, Any]

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"].lower()
        services.require_free_address(email, user=self.instance)
        return email


class ChangeForm(FreeAddress, UserChangeForm[User]):
    pass


class AddForm(FreeAddress, AdminUserCreationForm[User]):
    pass


@admin.register(User)
class UserAdmin(ForAdministrators, DjangoUserAdmin[User]):
    list_display = ("username", "email", "is_staff", "is_superuser", "is_active", "last_login")
    list_filter = ("is_staff", "is_superuser", "is_active", "date_joined")
    form, add_form = ChangeForm, AddForm
    inlines = (AddressInline,)
    actions = ("make_organizers", "dismiss_organizers", "switch_off_second_factor")
    filter_horizontal = ("groups",)
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("username", "password", "email", "is_active")}),
        (_("What they may do"), {"fields": ("is_staff", "is_superuser", "groups")}),
        (_("How we speak to them"), {"fields": ("language", "time_zone")}),
        (
            _("What we write to them about"),
            {
                "fields": (
                    "mail_submissions",
                    "mail_announcements",
                    "mail_invitations",
                    "mail_operations",
                )
            },
        ),
        (_("Dates"), {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("username", "email", "usable_password", "password1", "password2"),
            },
        ),
    )

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # With people go their submissions and what boards say of them: switch accounts off.
        return False

    def save_model(
        self, request: HttpRequest, obj: User, form: ModelForm[User], change: bool
    ) -> None:
        super().save_model(request, obj, form, change)
        if "email" in form.changed_data:
            services.set_address(obj, obj.email)

    @admin.action(description=_("Make organizers"))
    def make_organizers(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        count = services.make_organizers(queryset)
        said = ngettext("%(count)s person may organize.", "%(count)s people may organize.", count)
        messages.success(request, said % {"count": count})

    @admin.action(description=_("Dismiss as organizers"))
    def dismiss_organizers(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        count = services.dismiss_organizers(queryset)
        said = ngettext(
            "%(count)s person may not organize any more.",
            "%(count)s people may not organize any more.",
            count,
        )
        messages.success(request, said % {"count": count})

    @admin.action(description=_("Switch off two-factor log-in (for lost devices)"))
    def switch_off_second_factor(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        count = sum(services.switch_off_second_factor(user) for user in queryset)
        said = ngettext(
            "%(count)s person logs in by password alone now.",
            "%(count)s people log in by password alone now.",
            count,
        )
        messages.success(request, said % {"count": count})


@admin.register(Group)
class GroupAdmin(ForAdministrators, DjangoGroupAdmin):
    pass


@admin.register(ApiToken)
class ApiTokenAdmin(ForAdministrators, admin.ModelAdmin[ApiToken]):
    """List tokens, and revoke them; their keys are known to nobody."""

    list_display = ("name", "user", "created_at", "last_used_at", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), "created_at")
    list_select_related = ("user",)
    search_fields = ("name", "user__username", "user__email")
    fields = readonly_fields = ("user", "name", "created_at", "last_used_at", "revoked_at")
    actions = ("revoke",)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    @admin.action(description=_("Revoke"))
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        count = services.revoke(queryset)
        said = ngettext("%(count)s token is revoked.", "%(count)s tokens are revoked.", count)
        messages.success(request, said % {"count": count})


def _is_administrator(request: HttpRequest) -> bool:
    user: Any = cast(Any, request.user)
    return bool(user.is_active and user.is_superuser)
